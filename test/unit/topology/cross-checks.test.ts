import { describe, expect, test } from 'vitest'
import { errorLines, textOf } from '../../helpers/topology-texts.ts'

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
    { selector: '[]', says: /members: expected at least one node; got \[\]/ },
    { selector: '{ tier: edge }', says: /selects no node: \{"tier":"edge"\}/ },
    { selector: 'bb', says: /unknown node "bb"/ },
    { selector: '[a, bb]', says: /members\[1\]: unknown node "bb"/ },
    { selector: '[a]', says: /joins no two nodes/ },
  ])('a mesh of $selector is refused', ({ selector, says }) => {
    const links = `[{ shape: mesh, members: ${selector}, policies: [all] }]`
    expect(errorLines(textOf({ links })).join('\n')).toMatch(says)
  })

  test('a value that nobody has, near one that somebody has, gets a suggestion', () => {
    const nodes = '{ a: {}, b: { labels: { tier: edge } } }'
    const links = '[{ shape: star, center: a, leaves: { tier: egde }, policies: [all] }]'
    expect(errorLines(textOf({ nodes, links }))).toEqual([
      'error 7:43 links[0].leaves: selects no node: {"tier":"egde"}; did you mean "edge"?',
    ])
  })

  test('a ring names nodes that are there, each once', () => {
    const ring = (members: string) =>
      errorLines(textOf({ links: `[{ shape: ring, members: [${members}], policies: [all] }]` }))
    expect(ring('a, b')).toEqual([])
    expect(ring('a, bb')).toEqual(['error 7:37 links[0].members[1]: unknown node "bb"'])
    expect(ring('a, b, a')).toEqual([
      'error 7:40 links[0].members[2]: "a" stands in the ring twice',
    ])
    expect(ring('a')).toEqual([
      'error 7:33 links[0].members: expected at least two members; got ["a"]',
    ])
  })

  test.each([
    ['mode: scheduled', 'all.mode: mode scheduled needs a schedule: add schedule: { cron:'],
    [
      'mode: lazy, schedule: { cron: "0 1 * * *", window: 4h, tz: site }',
      'all.schedule: a schedule needs mode scheduled; got mode lazy',
    ],
    [
      'mode: eager, deletes: { propagate: false, grace: 1h }',
      'all.deletes.grace: "grace" needs propagate: true',
    ],
    ['mode: eager, deletes: { propagate: false, keepLast: 2 }', '"keepLast" needs propagate: true'],
    ['mode: eager, deletes: { propagate: false, guard: 20% }', '"guard" needs propagate: true'],
    ['mode: eager, deletes: { grace: 1h }', '"propagate" is missing: expected true or false'],
  ])('a policy with %s is refused', (keys, says) => {
    const policies = `{ all: { match: { repos: ["**"] }, ${keys} } }`
    expect(errorLines(textOf({ policies }))).toEqual([expect.stringContaining(says)])
  })

  test('a schedule with a mistake in it is one mistake', () => {
    const schedule = (text: string) =>
      errorLines(
        textOf({
          policies: `{ all: { match: { repos: ["**"] }, mode: scheduled, schedule: ${text} } }`,
        }),
      )
    expect(schedule('5')).toEqual([expect.stringContaining('all.schedule: expected a map; got 5')])
    expect(schedule('{ cron: "61 1 * * *", window: 4h, tz: Europe/Berln }')).toEqual([
      expect.stringContaining('schedule.cron: expected a cron expression such as'),
      expect.stringContaining(
        'schedule.tz: expected a time zone such as Europe/Berlin or UTC, or `site`',
      ),
    ])
  })
})
