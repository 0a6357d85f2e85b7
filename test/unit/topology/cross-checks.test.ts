import { describe, expect, test } from 'vitest'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { errorLines, findingLines, textOf } from './topology-texts.ts'

const KEY = `12D3KooW${'A'.repeat(44)}`
const OTHER_KEY = `12D3KooW${'B'.repeat(44)}`

describe('topology / cross-checks', () => {
  test.each(['endpoint: "http://a:1"', 'mesh: /dns4/x/tcp/1', `peerId: ${KEY}`])(
    'two nodes may not share %s',
    (same) => {
      expect(errorLines(textOf({ nodes: `{ a: { ${same} }, b: { ${same} } }` }))).toEqual([
        expect.stringContaining('node a has the same'),
      ])
    },
  )

  test('a former key may not be in use', () => {
    const former = `formerPeerIds: [{ peerId: ${KEY}, until: "2026-01-01T00:00:00Z" }]`
    const text = (key: string) => textOf({ nodes: `{ a: { peerId: ${key} }, b: { ${former} } }` })
    expect(errorLines(text(KEY))).toEqual([
      expect.stringContaining('b.formerPeerIds[0].peerId: the key is the peerId of node a'),
    ])
    expect(errorLines(text(OTHER_KEY))).toEqual([])
  })

  test.each([
    { conflict: '', says: 'several nodes may write (a, b)' },
    { conflict: ', conflict: { tags: immutable }', says: 'immutable tags need exactly one writer' },
    {
      conflict: ', conflict: { tags: register }',
      says: '"resolve" is missing: expected "hlc-lww"',
    },
  ])('two writers need one of the rules there are, not "$conflict"', ({ conflict, says }) => {
    const text = textOf({ origins: `[{ repos: ["**"], writers: "*"${conflict} }]` })
    expect(errorLines(text)).toEqual([expect.stringContaining(says)])
  })

  test('two writers are fine with the rule that the later push wins', () => {
    const conflict = '{ tags: register, resolve: hlc-lww }'
    const text = textOf({ origins: `[{ repos: ["**"], writers: "*", conflict: ${conflict} }]` })
    expect(errorLines(text)).toEqual([])
  })

  test('at most 32 nodes may write one repository', () => {
    const names = Array.from({ length: 33 }, (_, at) => `n${at}`)
    const text = (writers: readonly string[]) =>
      textOf({
        nodes: `{ a: {}, b: {}, ${names.map((name) => `${name}: {}`).join(', ')} }`,
        origins: `[{ repos: ["**"], writers: [${writers.join(', ')}], conflict: { tags: register, resolve: hlc-lww } }]`,
      })
    expect(errorLines(text(names))).toEqual([expect.stringContaining('33 writers; at most 32')])
    expect(errorLines(text(names.slice(1)))).toEqual([])
  })

  test('at most 44 keys, former ones counted, may write one repository', () => {
    const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
    const text = (count: number) => {
      const former = letters
        .slice(0, count)
        .split('')
        .map((letter) => `{ peerId: 12D3KooW${letter.repeat(44)}, until: "2026-01-01T00:00:00Z" }`)
      return textOf({ nodes: `{ a: { formerPeerIds: [${former.join(', ')}] }, b: {} }` })
    }
    expect(errorLines(text(44))).toEqual([expect.stringContaining('45 keys with those under')])
    expect(errorLines(text(43))).toEqual([])
  })

  test.each([
    { selector: '{}', says: /expected at least one label; every node is "\*"/ },
    { selector: '[]', says: /members: expected/ },
    { selector: '{ tier: edge }', says: /selects no node: \{"tier":"edge"\}/ },
    { selector: 'bb', says: /unknown node "bb"/ },
    { selector: '[a, bb]', says: /unknown node "bb"/ },
    { selector: '[a]', says: /joins no two nodes/ },
  ])('a mesh of $selector is refused', ({ selector, says }) => {
    const links = `[{ shape: mesh, members: ${selector}, policies: [all] }]`
    expect(errorLines(textOf({ links })).join('\n')).toMatch(says)
  })

  test.each([
    {
      name: 'a node without a link',
      sections: { nodes: '{ a: { endpoint: "http://a:1" }, b: {}, c: {} }' },
      says: 'nodes.c: no link reaches node c',
    },
    {
      name: 'a sender without endpoint',
      sections: { nodes: '{ a: {}, b: {} }' },
      says: 'nodes.a: node a sends to others but has no endpoint',
    },
    {
      name: 'a label that nobody has',
      sections: {
        links: '[{ shape: star, center: a, leaves: { archh: "!arm" }, policies: [all] }]',
      },
      says: 'links[0].leaves.archh: no node has a label or locality "archh"',
    },
    {
      name: 'a policy for what nobody may write',
      sections: {
        origins: '[{ repos: ["x/**"], writers: a }]',
        policies: '{ all: { match: { repos: ["y/**"] }, mode: eager } }',
      },
      says: 'policies.all.match.repos[0]: nobody may write',
    },
    {
      name: 'an entry that never holds',
      sections: { origins: '[{ repos: ["**"], writers: a }, { repos: ["x/**"], writers: b }]' },
      says: 'origins[1].repos: never holds',
    },
    {
      name: 'a policy without a link',
      sections: {
        policies:
          '{ all: { match: { repos: ["**"] }, mode: eager }, more: { match: { repos: ["**"] }, mode: eager } }',
      },
      says: 'policies.more: no link uses policy "more"',
    },
  ])('$name is a warning, and the file counts', ({ sections, says }) => {
    const text = textOf(sections)
    expect(findingLines(text)).toEqual([expect.stringContaining(says)])
    expect(findingLines(text)[0]).toMatch(/^warning /)
    expect(readTopology(text).topology).toBeDefined()
  })
})
