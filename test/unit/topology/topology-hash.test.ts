import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Sections,
  shippedText,
  textOf,
  topologyOf,
  topologyWith,
} from '../../helpers/topology-texts.ts'

const FULL = {
  apiVersion: 'entrepot/v1',
  kind: 'Topology',
  metadata: { name: 'test', generation: 1 },
  nodes: {
    a: { endpoint: 'http://a:1', labels: { tier: 'hub', os: 'linux' }, locality: { region: 'eu' } },
    b: { labels: { tier: 'edge' }, mesh: '/ip4/192.0.2.1/tcp/4001' },
  },
  origins: [{ repos: ['**'], writers: { tier: 'hub' } }],
  policies: {
    all: { match: { repos: ['**'], tags: { include: ['v*'], exclude: ['*-rc*'] } }, mode: 'eager' },
  },
  links: [{ shape: 'star', center: 'a', leaves: { tier: 'edge' }, policies: ['all'] }],
}

/** The same value with the keys of every map in another order, drawn from `seed`. */
function shuffled(value: unknown, seed: number): unknown {
  if (Array.isArray(value)) return value.map((part) => shuffled(part, seed))
  if (typeof value !== 'object' || value === null) return value
  const rank = (key: string) =>
    Array.from(key, (char) => char.charCodeAt(0)).reduce(
      (sum, code) => (sum * seed + code) % 101,
      7,
    )
  const entries = Object.entries(value).map(([key, part]) => [key, shuffled(part, seed)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => rank(a) - rank(b)))
}

describe('topology / hash', () => {
  test('the order of keys changes nothing', () => {
    const { hash } = topologyOf(JSON.stringify(FULL))
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 97 }), (seed) => {
        expect(topologyOf(JSON.stringify(shuffled(FULL, seed))).hash).toBe(hash)
      }),
      { numRuns: 25 },
    )
  })

  test('comments, quotes and layout change nothing', () => {
    const text = shippedText('hierarchical')
    const { hash } = topologyOf(text)
    expect(topologyOf(`# a note\n${text.replaceAll('"', "'")}\n\n`).hash).toBe(hash)
    expect(topologyOf(text.replace(/^#.*$/gm, '')).hash).toBe(hash)
  })

  test('an alias is what it stands for', () => {
    const links = '[{ shape: mesh, members: "*", policies: [all] }]'
    const spelt = topologyWith({
      nodes: '{ a: { labels: { x: y } }, b: { labels: { x: y } } }',
      links,
    })
    const short = topologyWith({ nodes: '{ a: &it { labels: { x: y } }, b: *it }', links })
    expect(short.hash).toBe(spelt.hash)
  })

  test.each<readonly [string, Sections]>([
    ['a node without anything', { nodes: '{ a: { endpoint: "http://a:5000" }, b: }' }],
    ['labels', { nodes: '{ a: { endpoint: "http://a:5000", labels: {}, locality: {} }, b: {} }' }],
    ['elsewhere', { origins: '[{ repos: ["**"], writers: a, elsewhere: reject }]' }],
    [
      'tags and untagged',
      {
        policies:
          '{ all: { match: { repos: ["**"], tags: { include: ["*"], exclude: [] } }, mode: eager, untagged: false } }',
      },
    ],
    ['flow', { links: '[{ shape: star, center: a, leaves: b, flow: out, policies: [all] }]' }],
  ])('a default that is written out changes nothing: %s', (_what, sections) => {
    expect(topologyWith(sections).hash).toBe(topologyOf(textOf()).hash)
  })

  test('whatever means something else has another hash', () => {
    const others: readonly Sections[] = [
      {},
      { metadata: '{ name: other, generation: 1 }' },
      { metadata: '{ name: test, generation: 2 }' },
      { nodes: '{ a: { endpoint: "http://a:5001" }, b: {} }' },
      { nodes: '{ a: { endpoint: "http://a:5000" }, b: { labels: { x: y } } }' },
      { nodes: '{ a: { endpoint: "http://a:5000" }, b: {}, c: {} }' },
      { origins: '[{ repos: ["**"], writers: b }]' },
      { origins: '[{ repos: ["*"], writers: a }]' },
      { origins: '[{ repos: ["**"], writers: a, conflict: { tags: immutable } }]' },
      { policies: '{ all: { match: { repos: ["**"] }, mode: eager, untagged: true } }' },
      { policies: '{ all: { match: { repos: ["*"] }, mode: eager } }' },
      { links: '[{ shape: star, center: b, leaves: a, policies: [all] }]' },
      { links: '[{ shape: star, center: a, leaves: b, flow: both, policies: [all] }]' },
      { links: '[{ shape: tree, parent: a, children: b, policies: [all] }]' },
    ]
    const hashes = others.map((sections) => topologyWith(sections).hash)
    expect(new Set(hashes).size).toBe(others.length)
  })

  test('of overlapping origins the order counts, so it counts in the hash', () => {
    const one = '{ repos: ["x/**"], writers: a }'
    const other = '{ repos: ["x/*"], writers: b }'
    expect(topologyWith({ origins: `[${one}, ${other}]` }).hash).not.toBe(
      topologyWith({ origins: `[${other}, ${one}]` }).hash,
    )
  })
})
