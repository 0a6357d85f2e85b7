import { describe, expect, test } from 'vitest'
import { errorLines, findingLines, textOf } from '../../helpers/topology-texts.ts'

const told = (text: string) => errorLines(text).map((line) => line.replace(/^error \d+:\d+ /, ''))
const tests = (...some: readonly string[]) =>
  textOf({
    links: `[{ shape: star, center: a, leaves: b, policies: [all] }]\ntests:\n${some.map((one) => `  - ${one}`).join('\n')}`,
  })
const link = (text: string) => told(textOf({ links: `[{ ${text}, policies: [all] }]` }))
const policy = (text: string) =>
  told(textOf({ policies: `{ all: { match: { repos: ["**"] }, ${text} } }` }))

describe('topology / what is said of a mistake', () => {
  test.each([
    [
      link('shape: sta, center: a, leaves: b'),
      'expected one of "star", "tree", "mesh", "ring", "explicit"; got "sta"; did you mean "star"?',
    ],
    [link('shape: star, center: a, leaves: b, flow: bth'), 'got "bth"; did you mean "both"?'],
    [link('from: a, to: b, fetch: peer-first'), 'got "peer-first"; did you mean "peers-first"?'],
    [policy('mode: sheduled'), 'got "sheduled"; did you mean "scheduled"?'],
    [
      policy('mode: on-demand'),
      'expected one of "eager", "lazy", "scheduled", "manual"; got "on-demand"',
    ],
    [
      policy('mode: eager, priority: 11'),
      'priority: expected a whole number from -10 to 10; got 11',
    ],
    [
      policy('mode: eager, priority: 0.5'),
      'priority: expected a whole number from -10 to 10; got 0.5',
    ],
    [policy('mode: eager, untagged: "yes"'), 'untagged: expected true or false; got "yes"'],
    [
      policy('mode: eager, slo: { lag: 5 }'),
      'slo.lag: expected a time such as 90s, 5m, 2h or 7d; got 5',
    ],
    [
      policy('mode: eager, slo: { lag: 5min }'),
      'slo.lag: expected a time such as 90s, 5m, 2h or 7d; got "5min"',
    ],
    [
      policy('mode: eager, deletes: { propagate: true, guard: 0.2 }'),
      'deletes.guard: expected a share such as 20%; got 0.2',
    ],
    [
      policy('mode: eager, deletes: { propagate: true, keepLast: 0 }'),
      'keepLast: expected a whole number from 1 to 10000; got 0',
    ],
    [
      link('from: a, to: b, bandwidth: [{ when: "Mo-Fr", down: 1Mbit }]'),
      'bandwidth[0].when: expected days, hours, or both, such as "Mon-Fri 08:00-18:00"',
    ],
    [
      link('from: a, to: b, bandwidth: [{ down: 1MB }]'),
      'bandwidth[0].down: expected a rate such as 800kbit, 20Mbit or 1Gbit (bits a second); got "1MB"',
    ],
    [
      link('from: a, to: b, bandwith: []'),
      'links[0].bandwith: unknown key "bandwith"; did you mean "bandwidth"?',
    ],
  ])('%j', (lines, says) => {
    expect(lines).toEqual([expect.stringContaining(says)])
  })

  test('a link without a shape is one mistake, unless from or to stands there', () => {
    expect(link('center: a, leaves: b')).toEqual([
      'links[0].shape: "shape" is missing: expected one of "star", "tree", "mesh", "ring", "explicit"',
    ])
    expect(link('from: a')).toEqual([expect.stringContaining('links[0].to: "to" is missing')])
  })

  test('where the key that says which map is meant is misspelt, that is told at its place', () => {
    expect(
      findingLines(textOf({ links: '[{\n shpae: star, center: a, leaves: b, policies: [all] }]' })),
    ).toEqual([
      'error 7:9 links[0].shape: "shape" is missing: expected one of "star", "tree", "mesh", "ring", "explicit"',
      'error 8:2 links[0].shpae: unknown key "shpae"; did you mean "shape"?',
    ])
  })

  test('one text where a list is expected gets brackets', () => {
    expect(told(textOf({ links: '[{ from: a, to: b, policies: all }]' }))).toEqual([
      'links[0].policies: expected a list; got "all": put it in brackets',
    ])
  })

  test('a key of another shape does not belong here, and which ones do is told', () => {
    expect(link('shape: ring, members: [a, b], center: a')).toEqual([
      'links[0].center: "center" does not belong here; expected one of shape, members, direction, policies, fetch, bandwidth',
    ])
  })

  test.each([
    [
      '{ name: x, from: a, image: "x:1", presnt: [b] }',
      ['tests[0].presnt: unknown key "presnt"; did you mean "present"?'],
    ],
    [
      '{ name: x, from: a, image: x, present: [b] }',
      ['tests[0].image: expected REPOSITORY:TAG, such as acme/api:1.4.2; got "x"'],
    ],
    [
      '{ name: x, push: { node: a, repo: x }, expect: reject }',
      [
        'tests[0].expect: expected one of "accepted", "rejected", "redirected", "proxied"; got "reject"; did you mean "rejected"?',
      ],
    ],
    [
      '{ name: x, push: { nod: a, repo: x }, expect: accepted }',
      [
        'tests[0].push.node: "node" is missing: expected text',
        'tests[0].push.nod: unknown key "nod"; did you mean "node"?',
      ],
    ],
    [
      '{ name: x, push: { node: a, repo: X }, expect: accepted }',
      ['tests[0].push.repo: expected a repository, such as acme/api; got "X"'],
    ],
    ['{ name: x, path: { from: a, to: b } }', ['tests[0].via: "via" is missing: expected a list']],
    [
      '{ name: x, pull: { node: a, image: "x:1" }, expect: remote }',
      ['tests[0].expect: expected one of "local", "fetched", "absent"; got "remote"'],
    ],
    [
      '{ name: x, lint: unused-polcy, expect: clean }',
      [expect.stringContaining('got "unused-polcy"; did you mean "unused-policy"?')],
    ],
    [
      '{ name: x, lint: unused-policy, expect: dirty }',
      ['tests[0].expect: expected "clean"; got "dirty"'],
    ],
    [
      '{ name: x, pussh: { node: a, repo: x }, expect: accepted }',
      ['tests[0].pussh: unknown key "pussh"; did you mean "push"?'],
    ],
    [
      '{ name: x }',
      [expect.stringMatching(/^tests\[0\]: expected a test: `from` and `image` with/)],
    ],
    ['5', [expect.stringMatching(/^tests\[0\]: expected a test: .*; got 5$/)]],
    [
      '{ from: a, image: "x:1", present: [b] }',
      ['tests[0].name: "name" is missing: expected text'],
    ],
    [
      '{ name: x, from: c, image: "x:1", present: [b, bb], down: [d] }',
      [
        'tests[0].from: unknown node "c"',
        'tests[0].present[1]: unknown node "bb"',
        'tests[0].down[0]: unknown node "d"',
      ],
    ],
    [
      '{ name: x, path: { from: a, to: bb }, via: [cc] }',
      ['tests[0].path.to: unknown node "bb"', 'tests[0].via[0]: unknown node "cc"'],
    ],
    [
      '{ name: x, push: { node: bb, repo: x }, expect: accepted }',
      ['tests[0].push.node: unknown node "bb"'],
    ],
    [
      '{ name: x, pull: { node: bb, image: "x:1" }, down: [cc], expect: local }',
      ['tests[0].pull.node: unknown node "bb"', 'tests[0].down[0]: unknown node "cc"'],
    ],
    [
      '{ name: x, from: a, image: "x:1", absent: [b], within: 5m }',
      ['tests[0].within: "within" needs present: it says until when those nodes have it'],
    ],
    ['{ name: x, from: a, image: "x:1", maxHops: 1 }', []],
  ])('of the test %s exactly what is wrong is told', (text, says) => {
    expect(told(tests(text))).toHaveLength(says.length)
    expect(told(tests(text))).toEqual(expect.arrayContaining(says))
  })

  test('a key of another kind of test does not belong here, and which ones do is told', () => {
    expect(
      told(tests('{ name: x, from: a, image: "x:1", present: [b], expect: accepted }')),
    ).toEqual([
      'tests[0].expect: "expect" does not belong here; expected one of name, down, from, image, platform, present, available, notPresent, absent, within, maxHops',
    ])
    expect(
      told(tests('{ name: x, pull: { node: a, image: "x:1" }, expect: local, colour: red }')),
    ).toEqual(['tests[0].colour: unknown key "colour"; expected one of name, down, pull, expect'])
  })

  test('a mistake in one test does not hide what is wrong with another, nor move its place', () => {
    const text = tests(
      '{ name: x, push: 5, expect: accepted }',
      '{ name: y, from: bb, image: "x:1", present: [b] }',
    )
    expect(findingLines(text)).toEqual([
      'error 9:22 tests[0].push: expected a map; got 5',
      'error 10:22 tests[1].from: unknown node "bb"',
    ])
  })

  test('a node, a label and a policy that are misspelt get suggestions', () => {
    const nodes = '{ hub: { labels: { tier: hub } }, shop-1: { labels: { tier: shop } } }'
    const links = '[{ shape: star, center: hubb, leaves: { teir: shop }, policies: [alll] }]'
    const origins = '[{ repos: ["**"], writers: [shop-11] }]'
    expect(told(textOf({ nodes, links, origins }))).toEqual([
      'origins[0].writers[0]: unknown node "shop-11"; did you mean "shop-1"?',
      'links[0].center: unknown node "hubb"; did you mean "hub"?',
      'links[0].leaves: selects no node: {"teir":"shop"}; did you mean "tier"?',
      'links[0].policies[0]: unknown policy "alll"; did you mean "all"?',
    ])
  })

  test('what came is shown, but not all of a long one', () => {
    const [line = ''] = policy(`mode: "${'x'.repeat(500)}"`)
    expect(line).toMatch(/got "x{56}\.\.\.$/)
  })
})
