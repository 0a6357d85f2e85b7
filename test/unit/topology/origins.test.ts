import { describe, expect, test } from 'vitest'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { flow, sourcesOf, wants } from '../../../src/topology/flow.ts'
import { mayWrite, nodeOfPeer, originOf, writersOf } from '../../../src/topology/origins.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'

const KEY = `12D3KooW${'A'.repeat(44)}`
const FORMER_KEY = `12D3KooW${'B'.repeat(44)}`
const OTHER_KEY = `12D3KooW${'C'.repeat(44)}`
const UNTIL = '2026-01-01T00:00:00Z'
const UNTIL_MS = Date.UTC(2026, 0, 1)

const TOPOLOGY = topologyWith({
  nodes: `{
    a: { endpoint: "http://a:1", peerId: ${KEY}, formerPeerIds: [{ peerId: ${FORMER_KEY}, until: "${UNTIL}" }] },
    b: { endpoint: "http://b:1", peerId: ${OTHER_KEY} },
    c: {} }`,
  origins:
    '[{ repos: ["b/**"], writers: b, conflict: { tags: immutable } }, { repos: ["**"], writers: a }]',
  links:
    '[{ shape: star, center: a, leaves: b, policies: [all] }, { shape: star, center: a, leaves: c, policies: [all] }]',
})
const repository = (name: string) => name as RepositoryName

describe('topology / origins', () => {
  test('of the entries that match a repository the first holds', () => {
    expect(writersOf(TOPOLOGY, repository('b/x'))).toEqual(['b'])
    expect(writersOf(TOPOLOGY, repository('b'))).toEqual(['a'])
    expect(originOf(TOPOLOGY, repository('b/x'))?.immutableTags).toBe(true)
  })

  test('losers stay under tags where the file says so, and it is another file then', () => {
    const withRule = (keep: string) =>
      topologyWith({
        origins: `[{ repos: ["**"], writers: "*", conflict: { tags: register, resolve: hlc-lww${keep} } }]`,
      })
    const [kept, not] = [withRule(', keep: losers-as-suffixed-tag'), withRule('')]
    expect(originOf(kept, repository('x'))?.keepsLosers).toBe(true)
    expect(originOf(not, repository('x'))?.keepsLosers).toBe(false)
    expect(originOf(TOPOLOGY, repository('b/x'))?.keepsLosers).toBe(false)
    expect(kept.hash).not.toBe(not.hash)
    // What flows by it changes too: neighbours are read anew.
    const [a, b] = [nodeName('a'), nodeName('b')]
    expect(flow(kept, a, b).hash).not.toBe(flow(not, a, b).hash)
  })

  test('a repository that no entry matches has no writers', () => {
    const topology = topologyWith({ origins: '[{ repos: ["x/*"], writers: a }]' })
    expect(originOf(topology, repository('x/y/z'))).toBeUndefined()
    expect(writersOf(topology, repository('x/y/z'))).toEqual([])
  })

  test('a key belongs to the node that has it now', () => {
    expect(nodeOfPeer(TOPOLOGY, KEY)).toBe('a')
    expect(nodeOfPeer(TOPOLOGY, FORMER_KEY)).toBeUndefined()
  })

  test('a writer signs with its key, for its repositories alone', () => {
    expect(mayWrite(TOPOLOGY, KEY, repository('x'), UNTIL_MS + 1)).toBe(true)
    expect(mayWrite(TOPOLOGY, KEY, repository('b/x'), UNTIL_MS)).toBe(false)
    expect(mayWrite(TOPOLOGY, OTHER_KEY, repository('b/x'), UNTIL_MS)).toBe(true)
    expect(mayWrite(TOPOLOGY, OTHER_KEY, repository('x'), UNTIL_MS)).toBe(false)
    expect(mayWrite(TOPOLOGY, 'nobody', repository('x'), UNTIL_MS)).toBe(false)
  })

  test('a former key counts up to its end', () => {
    expect(mayWrite(TOPOLOGY, FORMER_KEY, repository('x'), UNTIL_MS)).toBe(true)
    expect(mayWrite(TOPOLOGY, FORMER_KEY, repository('x'), UNTIL_MS + 1)).toBe(false)
  })

  test('a writer reads its repositories back against the direction of the link, and nothing else', () => {
    const naming = { tagsNaming: async function* () {} }
    const passes = (name: string) =>
      flow(TOPOLOGY, nodeName('b'), nodeName('a')).passes(
        { repository: repository(name), reference: 'v1' as never },
        naming,
      )
    expect(flow(TOPOLOGY, nodeName('b'), nodeName('a')).reads(repository('b/x'))).toBe(false)
    return expect(Promise.all([passes('x'), passes('b/x')])).resolves.toEqual([true, false])
  })

  test('a node that writes nothing has only the senders as sources', () => {
    expect(sourcesOf(TOPOLOGY, nodeName('c'))).toEqual(['a'])
    expect(flow(TOPOLOGY, nodeName('c'), nodeName('b')).isEmpty).toBe(true)
  })

  test('the hash of a filter changes with the policies in use and with origins, and with nothing else', () => {
    const sections = {
      nodes: '{ a: {}, b: {}, c: {} }',
      policies:
        '{ all: { match: { repos: ["**"] }, mode: eager }, few: { match: { repos: ["x/**"] }, mode: eager } }',
      links:
        '[{ shape: star, center: a, leaves: b, policies: [all] }, { shape: star, center: a, leaves: c, policies: [few] }]',
    }
    const hashOf = (changes: object) =>
      flow(topologyWith({ ...sections, ...changes }), nodeName('a'), nodeName('b')).hash
    const before = hashOf({})
    // Another link, a renamed policy, an address, a generation.
    expect(hashOf({ links: sections.links.replace('[few]', '[all]') })).toBe(before)
    expect(
      hashOf({
        policies: sections.policies.replace('all:', 'each:'),
        links: sections.links.replace('[all]', '[each]'),
      }),
    ).toBe(before)
    expect(hashOf({ nodes: '{ a: { endpoint: "http://a:1" }, b: {}, c: {} }' })).toBe(before)
    expect(hashOf({ metadata: '{ name: test, generation: 9 }' })).toBe(before)
    const others = [
      hashOf({ policies: sections.policies.replace('["**"]', '["*"]') }),
      hashOf({ policies: sections.policies.replace('mode: eager', 'mode: eager, untagged: true') }),
      hashOf({ links: sections.links.replace('[all]', '[few]') }),
      hashOf({ origins: '[{ repos: ["**"], writers: c }]' }),
      hashOf({ origins: '[{ repos: ["**"], writers: b }]' }),
    ]
    expect(new Set([before, ...others]).size).toBe(others.length + 1)
  })

  test('a node wants what its links bring and what it writes', () => {
    const wanted = wants(TOPOLOGY, nodeName('b'))
    expect(wanted.reads(repository('x'))).toBe(true)
    const alone = topologyWith({ nodes: '{ a: {} }', links: '[]' })
    expect(wants(alone, nodeName('a')).reads(repository('x'))).toBe(true)
  })
})
