import { expect, test } from 'vitest'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { errorLines, findingLines, textOf } from '../../helpers/topology-texts.ts'

test('all mistakes are told at once, in the order of the file, each with its line and column', () => {
  const text = `apiVersion: entrepot/v1
kind: Topolgy
metadata: { name: test, generation: 0 }
nodes:
  a:
    endpont: http://a:5000
  b: { peerId: 12D3 }
origins:
  - repos: ["**"]
    writers: a
    writes: b
policies:
  all: { match: { repos: ["**"] }, mode: egaer }
links:
  - { shape: star, center: a, leaves: b, policies: [alll] }
`
  expect(errorLines(text)).toEqual([
    'error 2:7 kind: expected "Topology"; got "Topolgy"',
    'error 3:37 metadata.generation: expected a whole number from 1; got 0',
    'error 6:5 nodes.a.endpont: unknown key "endpont"; did you mean "endpoint"?',
    'error 7:16 nodes.b.peerId: expected an Ed25519 peer id (12D3KooW...), as `entrepot identity show` prints it; got "12D3"',
    'error 11:5 origins[0].writes: unknown key "writes"; did you mean "writers"?',
    'error 13:42 policies.all.mode: expected one of "eager", "lazy", "scheduled", "manual"; got "egaer"; did you mean "eager"?',
    'error 15:53 links[0].policies[0]: unknown policy "alll"; did you mean "all"?',
  ])
})

test('a file with an error gives no topology, a file with warnings does', () => {
  expect(readTopology(textOf({ nodes: '{ a: {}, b: { x: 1 } }' })).topology).toBeUndefined()
  const warned = readTopology(textOf({ nodes: '{ a: {}, b: {} }' }))
  expect(warned.findings.map(({ severity }) => severity)).toEqual(['warning', 'note'])
  expect(warned.topology).toBeDefined()
})

test('a mistake in one link does not hide what is wrong with another, nor move its place', () => {
  const links = '[{ shape: stra }, { shape: star, center: x, leaves: b, policies: [all] }]'
  expect(errorLines(textOf({ links }))).toEqual([
    'error 7:18 links[0].shape: expected one of "star", "tree", "mesh", "ring", "explicit"; got "stra"; did you mean "star"?',
    'error 7:49 links[1].center: unknown node "x"',
  ])
})

test('a node that has a mistake inside is still a node that others may name', () => {
  expect(errorLines(textOf({ nodes: '{ a: 5, b: { labels: { hub: true } } }' }))).toEqual([
    'error 4:13 nodes.a: expected a map; got 5',
    'error 4:36 nodes.b.labels.hub: expected text; got true: put it in quotes',
  ])
})

test('a missing section is told at the start of the file, with what belongs there', () => {
  expect(errorLines('apiVersion: entrepot/v1\nkind: Topology\n')).toEqual([
    'error 1:1 metadata: "metadata" is missing: expected a map',
    'error 1:1 nodes: "nodes" is missing: expected a map',
    'error 1:1 origins: "origins" is missing: expected a list',
    'error 1:1 policies: "policies" is missing: expected a map',
    'error 1:1 links: "links" is missing: expected a list',
  ])
})

test('what is missing as a whole is told once, not at each place that names a part of it', () => {
  const without = (section: string) =>
    errorLines(
      textOf({ links: '[{ from: a, to: bb, policies: [all] }]' }).replace(
        new RegExp(`^${section}: .*\\n`, 'm'),
        '',
      ),
    )
  expect(without('policies')).toEqual([
    'error 1:1 policies: "policies" is missing: expected a map',
    'error 6:24 links[0].to: unknown node "bb"',
  ])
  expect(without('nodes')).toEqual(['error 1:1 nodes: "nodes" is missing: expected a map'])
})

test('a bad node name is told at the name, with what was expected', () => {
  expect(errorLines(textOf({ nodes: '{ a: {}, b: {}, Big_1: {} }' }))).toEqual([
    'error 4:24 nodes.Big_1: expected a node name: a-z, 0-9 and -, at most 63 characters; got "Big_1"',
  ])
})

test.each(['', '\n', '# only a comment\n', '---\n', 'null\n'])(
  'the empty file %j is refused',
  (text) => {
    expect(errorLines(text)).toEqual([
      'error 1:1 : the file is empty; expected apiVersion: entrepot/v1, kind: Topology, ...',
    ])
  },
)

test.each(['hello', '- a\n- b\n', '42'])('%j is refused, as it is no map', (text) => {
  expect(errorLines(text).join()).toMatch(/^error 1:1 : expected a map; got/)
})

test.each([
  ['a tab', 'nodes:\n\ta: {}\n', '2:1', 'Tabs'],
  [
    'a key that stands twice',
    'nodes:\n  a: {}\n  a: {}\n',
    '3:3',
    '"a" is there twice, first in line 2',
  ],
  ['a bracket that stays open', 'nodes: [a\n', '2:1', 'end with a ]'],
  ['a second document', 'a: 1\n---\nb: 1\n', '2:1', 'expected one document'],
  ['a tag that nobody reads', 'nodes: !secret x\n', '1:8', 'Unresolved tag: !secret'],
  ['a tag for code', 'nodes: !!js/function x\n', '1:8', 'Unresolved tag'],
])('%s is an error of YAML with line and column', (_what, text, place, message) => {
  const line = errorLines(text).find((one) => one.startsWith(`error ${place} : YAML: `))
  expect(line).toContain(message)
})

test('a key that stands twice, a tag and a second document do not hide what else is wrong', () => {
  const text = `${textOf({
    nodes: '{ a: {}, b: {}, a: { endpont: x } }',
    origins: '[{ repos: ["**"], writers: !mine c }]',
    links: '[{ from: a, to: bb, policies: [all] }]',
  })}---\na: 1\n`
  expect(findingLines(text)).toEqual([
    'error 4:24 : YAML: the key "a" is there twice, first in line 4',
    'error 4:29 nodes.a.endpont: unknown key "endpont"; did you mean "endpoint"?',
    'error 5:37 : YAML: Unresolved tag: !mine',
    'error 5:43 origins[0].writers: unknown node "c"',
    'error 7:24 links[0].to: unknown node "bb"',
    'error 8:1 : YAML: expected one document; a second one begins here, by "---"',
  ])
  expect(readTopology(textOf({ origins: '[{ repos: ["**"], writers: !mine a }]' })).topology).toBe(
    undefined,
  )
})

test('a key that JavaScript would swallow is refused wherever it stands', () => {
  const nodes = '{ a: { labels: { __proto__: x } }, b: {} }'
  expect(errorLines(textOf({ nodes }))).toEqual([
    'error 4:25 : expected another key than "__proto__"',
  ])
})

test('names that would move the cursor of a terminal are refused, and shown without doing so', () => {
  const metadata = '{ name: "x\\e[2J", generation: 1, "y\\e[2J": 1 }'
  expect(errorLines(textOf({ metadata }))).toEqual([
    'error 3:19 metadata.name: expected one line of text, without control characters; got "x\\u001b[2J"',
    'error 3:44 metadata.y?[2J: unknown key "y?[2J"; expected one of name, generation, owner',
  ])
})

test('a file of aliases that would expand beyond measure is refused', () => {
  const nine = (name: string) => Array.from({ length: 9 }, () => name).join(', ')
  const text = `a: &a [${nine('x')}]\nb: &b [${nine('*a')}]\nc: &c [${nine('*b')}]\nd: [${nine('*c')}]\n`
  expect(errorLines(text).join()).toContain('Excessive alias count')
})

test('ten thousand open brackets give a few findings and no crash', () => {
  const lines = errorLines('['.repeat(10_000))
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThanOrEqual(20)
  expect(lines.join()).toContain('nested too deeply')
})

test('an alias may stand for a part of a file, and a mistake in it is told where it is written', () => {
  const nodes =
    '{ a: &it { endpoint: "http://a:5000", labels: { x: y } }, b: { labels: { x: y } } }'
  expect(errorLines(textOf({ nodes }))).toEqual([])
  const faulty = 'nodes: { a: { locality: &l { regio: eu } }, b: { locality: *l } }'
  const text = textOf().replace(/^nodes: .*$/m, faulty)
  expect(errorLines(text)).toEqual([
    'error 4:30 nodes.a.locality.regio: unknown key "regio"; did you mean "region"?',
    'error 4:30 nodes.b.locality.regio: unknown key "regio"; did you mean "region"?',
  ])
})

test('a merge key is no part of the language', () => {
  const nodes = '{ a: &it { endpoint: "http://a:5000" }, b: { <<: *it } }'
  expect(findingLines(textOf({ nodes }))).toEqual([
    'error 4:53 nodes.b.<<: unknown key "<<"; expected one of kind, locality, labels, timeZone, endpoint, mesh, peerId, formerPeerIds, storage',
  ])
})

test('a node without anything is a node', () => {
  const { topology } = readTopology(textOf({ nodes: '\n  a:\n  b:' }))
  expect([...(topology?.nodes.keys() ?? [])]).toEqual(['a', 'b'])
})

test('a misspelt key without a near neighbour gets the keys that may stand there', () => {
  expect(errorLines(textOf({ metadata: '{ name: test, generation: 1, colour: red }' }))).toEqual([
    'error 3:40 metadata.colour: unknown key "colour"; expected one of name, generation, owner',
  ])
})

test.each([
  'http://a:5000/',
  'http://user:secret@a:5000',
  'a:5000',
  'ftp://a:5000',
  'http://a:5000/v2',
  'http://a b:5000',
])('the endpoint %s is refused', (endpoint) => {
  const nodes = `{ a: { endpoint: "${endpoint}" }, b: {} }`
  expect(errorLines(textOf({ nodes })).join()).toContain('expected http://HOST:PORT')
})

test.each(['/ip4/192.0.2.1/udp/4001', '/ip4/192.0.2.1/tcp/4001/p2p/12D3', '192.0.2.1:4001'])(
  'the mesh address %s is refused',
  (mesh) => {
    const nodes = `{ a: { mesh: "${mesh}" }, b: {} }`
    expect(errorLines(textOf({ nodes })).join()).toContain('expected a multiaddr such as')
  },
)
