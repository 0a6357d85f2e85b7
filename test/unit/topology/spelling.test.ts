import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMap, isScalar, isSeq, LineCounter, parseDocument, stringify } from 'yaml'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { SHIPPED, shippedText } from '../../helpers/topology-texts.ts'

/** Whole files are read, some milliseconds each. */
const RUNS = { numRuns: 60 }

interface Key {
  readonly file: string
  readonly word: string
  readonly offset: number
  readonly line: number
}

/** Keys of the language in a file: not names, labels and what selectors ask for. */
function keysOf(file: string, text: string): readonly Key[] {
  const lines = new LineCounter()
  const keys: Key[] = []
  walk(parseDocument(text, { lineCounter: lines }).contents, [])
  return keys

  function walk(node: unknown, path: readonly string[]): void {
    if (isSeq(node)) for (const item of node.items) walk(item, [...path, '*'])
    if (!isMap(node)) return
    const [section, , key] = path
    const isNamed =
      (path.length === 1 && (section === 'nodes' || section === 'policies')) ||
      key === 'labels' ||
      (path.length === 3 && section === 'origins' && key === 'writers') ||
      (path.length === 3 && section === 'links' && key !== 'bandwidth')
    for (const { key: name, value } of node.items) {
      if (!isScalar(name) || !name.range) continue
      const word = String(name.value)
      const [offset] = name.range
      if (!isNamed) keys.push({ file, word, offset, line: lines.linePos(offset).line })
      walk(value, [...path, word])
    }
  }
}

const TEXTS = new Map(SHIPPED.map((name) => [name, shippedText(name)]))
const KEYS = [...TEXTS].flatMap(([name, text]) => keysOf(name, text))

const globs = fc.constantFrom(['**'], ['x/**'], ['x/*', 'y/{a,b}'], ['y/[a-c]?'])
const time = fc.constantFrom('90s', '5m', '2h', '7d', '200ms')
const rate = fc.constantFrom('800kbit', '20Mbit', '1Gbit', '0.5Mbit')
const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined })
const policy = fc.record({
  match: fc.record({
    repos: globs,
    tags: optional(
      fc.record({
        semver: optional(fc.constantFrom('>=1.2 <2', '^3', '1.x')),
        include: optional(fc.constantFrom(['v*'], ['*', 'true'], ['1.0'])),
        exclude: optional(fc.constantFrom(['*-rc*'], ['latest'])),
      }),
    ),
    platforms: optional(fc.constantFrom(['linux/amd64'], ['linux/arm/v7', 'linux/arm64'])),
  }),
  mode: fc.constantFrom('eager', 'lazy', 'manual'),
  untagged: optional(fc.boolean()),
  priority: optional(fc.integer({ min: -10, max: 10 })),
  deletes: optional(fc.record({ propagate: fc.constant(true), grace: optional(time) })),
  slo: optional(fc.record({ lag: time })),
})
const node = fc.record({
  locality: optional(fc.record({ region: fc.constantFrom('eu', 'no', '12') })),
  labels: optional(fc.constantFrom({ on: 'yes' }, { 'a b': ': #', '1': '2' }, { é: '"\\' })),
  timeZone: optional(fc.constantFrom('UTC', 'Europe/Berlin')),
  storage: optional(fc.record({ max: fc.constantFrom('500MB', '1.5TiB') })),
})
const common = {
  policies: fc.subarray(['p', 'q r'], { minLength: 1 }),
  bandwidth: optional(
    fc.array(fc.record({ when: optional(fc.constantFrom('Mon-Fri', '22:00-06:00')), down: rate }), {
      maxLength: 2,
    }),
  ),
}
const link = fc.oneof(
  fc.record({
    shape: fc.constant('star'),
    center: fc.constant('a'),
    leaves: fc.constant('*'),
    flow: optional(fc.constantFrom('in', 'both')),
    ...common,
  }),
  fc.record({
    shape: fc.constant('ring'),
    members: fc.shuffledSubarray(['a', 'b', '3'], { minLength: 2 }),
    ...common,
  }),
  fc.record({ shape: fc.constant('mesh'), members: fc.constantFrom('*', ['a', '3']), ...common }),
  fc.record({ from: fc.constantFrom('a', ['a', 'b']), to: fc.constant(['b', '3']), ...common }),
)
const file = fc.record({
  apiVersion: fc.constant('entrepot/v1'),
  kind: fc.constant('Topology'),
  metadata: fc.record({
    name: fc.constantFrom('t', '1.0', 'no', 'ü: x'),
    generation: fc.integer({ min: 1, max: 9 }),
  }),
  nodes: fc.record({ a: node, b: node, '3': node }),
  origins: fc.constantFrom(
    [
      { repos: ['x/**'], writers: 'b' },
      { repos: ['**'], writers: 'a', elsewhere: 'proxy' },
    ],
    [{ repos: ['**'], writers: '*', conflict: { tags: 'register', resolve: 'hlc-lww' } }],
  ),
  policies: fc.record({ p: policy, 'q r': policy }),
  links: fc.array(link, { minLength: 1, maxLength: 3 }),
})
const style = fc.record({
  collectionStyle: fc.constantFrom('any', 'block', 'flow'),
  defaultStringType: fc.constantFrom('PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE'),
  sortMapEntries: fc.boolean(),
  indent: fc.constantFrom(2, 4),
  lineWidth: fc.constantFrom(0, 40),
} as const)

/** Without functions; they are made from what is compared. */
function compiled(text: string): unknown {
  const { topology, findings } = readTopology(text)
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  return JSON.parse(
    JSON.stringify({
      ...topology,
      nodes: Object.fromEntries(topology?.nodes ?? []),
      policies: Object.fromEntries(topology?.policies ?? []),
    }),
  )
}

describe('topology / as people write it', () => {
  test('a file means the same in whatever style it is printed', () => {
    fc.assert(
      fc.property(file, style, (value, options) => {
        const plain = JSON.parse(JSON.stringify(value)) as object
        expect(compiled(stringify(plain, options))).toEqual(compiled(JSON.stringify(plain)))
      }),
      RUNS,
    )
  })

  test('whichever key of a shipped file is misspelt, that is told in its line', () => {
    expect(KEYS.length).toBeGreaterThan(400)
    fc.assert(
      fc.property(fc.constantFrom(...KEYS), fc.nat({ max: 20 }), (key, at) => {
        const text = TEXTS.get(key.file) ?? ''
        const cut = key.offset + (at % key.word.length) + 1
        const slip = `${text.slice(0, cut)}q${text.slice(cut)}`
        const word = slip.slice(key.offset, key.offset + key.word.length + 1)
        const { topology, findings } = readTopology(slip)
        expect(topology).toBeUndefined()
        const told = findings.filter(
          ({ severity, line }) => severity === 'error' && line === key.line,
        )
        expect(told.map(({ message }) => message).join()).toContain(`"${word}"`)
      }),
      RUNS,
    )
  })
})
