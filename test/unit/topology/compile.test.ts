import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '../../../src/topology/compile.ts'
import { topicsOf } from '../../../src/topology/groups.ts'
import { TOPOLOGY_SCHEMA } from '../../../src/topology/schema.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { topologyWith } from '../../helpers/topology-texts.ts'

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 3 })
/** Keys without a value are left out, as in a file. */
const map = (keys: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(keys).map((whole) => JSON.parse(JSON.stringify(whole)) as Record<string, unknown>)

const name = fc.constantFrom('a', 'b', 'c', 'd-1', 'constructor', 'valueof')
const label = fc.constantFrom('tier', 'region', 'constructor', 'toString')
const value = fc.constantFrom('x', 'y', '!x', '!', 'eu')
const glob = fc.constantFrom('**', 'team/**', 'a/{b,c}', '[a-f]*', 'x')
const duration = fc.constantFrom('1ms', '90s', '5m', '2h', '7d')
const selector = fc.oneof(
  fc.constant('*'),
  name,
  fc.array(name, { minLength: 1, maxLength: 3 }),
  fc.dictionary(label, value, { minKeys: 1, maxKeys: 2 }),
)
const node = map({
  locality: maybe(map({ region: maybe(value), zone: maybe(value), site: maybe(value) })),
  labels: maybe(fc.dictionary(label, value)),
  timeZone: maybe(fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kolkata')),
  endpoint: maybe(fc.constantFrom('http://a:5000', 'https://b')),
  storage: maybe(
    map({
      max: fc.constantFrom('1GiB', '0.5TB'),
      evict: maybe(fc.constantFrom('lru', 'none')),
      pin: maybe(fc.constant(['x/**:v*'])),
    }),
  ),
})
const policy = map({
  match: map({
    repos: fc.array(glob, { minLength: 1, maxLength: 2 }),
    tags: maybe(
      map({
        semver: maybe(fc.constantFrom('>=1', '^2.0.0-rc1', '>2 <1')),
        include: maybe(fc.array(fc.constantFrom('*', 'v*', 'x?'))),
        exclude: maybe(fc.array(fc.constantFrom('*-rc*', '*'))),
      }),
    ),
    platforms: maybe(fc.array(fc.constantFrom('linux/amd64', 'linux/arm/v7'), { minLength: 1 })),
  }),
  mode: fc.constantFrom('eager', 'lazy', 'scheduled', 'manual'),
  schedule: maybe(
    map({
      cron: fc.constantFrom('0 1 * * *', '*/5 * * * *', '0 1 30 2 *', '0 1 * * 1-5'),
      window: duration,
      tz: fc.constantFrom('site', 'UTC', 'America/New_York'),
    }),
  ),
  untagged: maybe(fc.boolean()),
  priority: maybe(fc.integer({ min: -10, max: 10 })),
  deletes: maybe(
    map({
      propagate: fc.boolean(),
      grace: maybe(duration),
      keepLast: maybe(fc.integer({ min: 1, max: 5 })),
      guard: maybe(fc.constantFrom('0%', '20%', '100%')),
    }),
  ),
  slo: maybe(map({ lag: duration })),
})
const common = {
  policies: fc.array(fc.constantFrom('p', 'q', 'toString', 'nobody'), {
    minLength: 1,
    maxLength: 3,
  }),
  fetch: maybe(fc.constantFrom('link-only', 'peers-first')),
  bandwidth: maybe(
    fc.array(
      map({
        when: maybe(fc.constantFrom('Mon-Fri', 'Sat,Sun 08:00-18:00', '22:00-06:00')),
        down: maybe(fc.constantFrom('0kbit', '1.5Mbit')),
        up: maybe(fc.constantFrom('1Gbit')),
      }),
      { maxLength: 3 },
    ),
  ),
}
const link = fc.oneof(
  map({
    shape: fc.constant('star'),
    center: selector,
    leaves: selector,
    flow: maybe(fc.constantFrom('out', 'in', 'both')),
    ...common,
  }),
  map({
    shape: fc.constant('tree'),
    parent: selector,
    children: selector,
    match: maybe(fc.constantFrom('region', 'zone')),
    ...common,
  }),
  map({ shape: fc.constant('mesh'), members: selector, ...common }),
  map({
    shape: fc.constant('ring'),
    members: fc.array(name, { minLength: 2, maxLength: 5 }),
    direction: maybe(fc.constantFrom('both', 'forward')),
    ...common,
  }),
  map({ from: selector, to: selector, ...common }),
)
const conflict = fc.constantFrom(
  { tags: 'immutable' },
  { tags: 'register', resolve: 'hlc-lww' },
  { tags: 'register', resolve: 'hlc-lww', keep: 'losers-as-suffixed-tag' },
)
const file = map({
  apiVersion: fc.constant('entrepot/v1'),
  kind: fc.constant('Topology'),
  metadata: fc.constant({ name: 'x', generation: 1 }),
  nodes: fc.dictionary(name, fc.option(node), { minKeys: 1 }),
  origins: fc.array(
    map({
      repos: fc.array(glob, { minLength: 1, maxLength: 2 }),
      writers: selector,
      elsewhere: maybe(fc.constantFrom('reject', 'redirect', 'proxy')),
      conflict: maybe(conflict),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  policies: fc.dictionary(fc.constantFrom('p', 'q', 'toString'), policy),
  links: fc.array(link, { maxLength: 4 }),
})

describe('topology / compile', () => {
  test('whatever the schema accepts can be compiled, and whatever is read is answered with findings or a topology', () => {
    fc.assert(
      fc.property(file, (written) => {
        const topology = compile(TOPOLOGY_SCHEMA.parse(written))
        for (const one of topology.nodes.keys()) topicsOf(topology, one)
        for (const { matchesTag, schedule } of topology.policies.values()) {
          matchesTag('v1.0.0' as Parameters<typeof matchesTag>[0])
          schedule?.at(1_800_000_000_000, 'UTC')
        }
        for (const { id, senders, receivers, rates } of topology.groups) {
          expect(topology.groups.filter((other) => other.id === id)).toHaveLength(1)
          expect([...senders, ...receivers].every((one) => topology.nodes.has(one))).toBe(true)
          for (const { when, bitsPerSecond } of rates) {
            when?.holds(1_800_000_000_000, 'Europe/Berlin')
            expect(bitsPerSecond).toBeGreaterThanOrEqual(0)
          }
        }
        const reading = readTopology(JSON.stringify(written))
        const isGood = reading.findings.every(({ severity }) => severity !== 'error')
        expect(reading.topology !== undefined).toBe(isGood)
      }),
      { numRuns: 15 },
    )
  })

  test('a file with anything left out or replaced is answered with findings, never with an exception', () => {
    const junk = fc.constantFrom<unknown>(null, 5, 'x', [], {}, [null], { shape: 'ring' }, true)
    fc.assert(
      fc.property(file, fc.array(fc.nat()), junk, (written, steps, replacement) => {
        let at: unknown = written
        for (const step of steps) {
          if (typeof at !== 'object' || at === null) break
          const keys = Object.keys(at)
          const key = keys[step % Math.max(1, keys.length)]
          if (key === undefined) break
          const inner: unknown = Reflect.get(at, key)
          if (typeof inner !== 'object' || inner === null || step % 3 === 0) {
            Reflect.set(at, key, replacement)
            break
          }
          at = inner
        }
        const { topology, findings } = readTopology(JSON.stringify(written))
        expect(topology !== undefined || findings.length > 0).toBe(true)
        for (const { line, column } of findings) expect(Math.min(line, column)).toBeGreaterThan(0)
      }),
      { numRuns: 30 },
    )
  })

  test('what was left out and its default have one hash', () => {
    const short = topologyWith({ nodes: '{ a: { endpoint: "http://a:5000" }, b: }' })
    const long = topologyWith({
      nodes:
        '{ a: { kind: node, endpoint: "http://a:5000", labels: {}, timeZone: UTC }, b: { locality: {}, formerPeerIds: [] } }',
      origins: '[{ repos: ["**"], writers: a, elsewhere: reject }]',
      policies:
        '{ all: { match: { repos: ["**"], tags: { include: ["*"], exclude: [] } }, mode: eager, untagged: false, priority: 0, deletes: { propagate: false } } }',
      links:
        '[{ shape: star, center: a, leaves: b, flow: out, policies: [all], fetch: link-only, bandwidth: [] }]',
    })
    expect(long.hash).toBe(short.hash)
    expect(topologyWith({ nodes: '{ a: {}, b: { timeZone: Europe/Berlin } }' }).hash).not.toBe(
      topologyWith({ nodes: '{ a: {}, b: {} }' }).hash,
    )
  })

  test('an explicit link may say its shape, and means the same', () => {
    const groups = (links: string) =>
      topologyWith({ links }).groups.map(({ id, senders, receivers }) => [id, senders, receivers])
    const short = groups('[{ from: a, to: b, policies: [all] }]')
    expect(short).toEqual([['0/a', ['a'], ['b']]])
    expect(groups('[{ shape: explicit, from: a, to: b, policies: [all] }]')).toEqual(short)
  })

  test('a ring of one way has one group for each step, one of both ways two', () => {
    const nodes = '{ a: {}, b: {}, c: {} }'
    const ids = (direction: string) =>
      topologyWith({
        nodes,
        links: `[{ shape: ring, members: [a, b, c], direction: ${direction}, policies: [all] }]`,
      }).groups.map(({ id }) => id)
    expect(ids('forward')).toEqual(['0/a/b', '0/b/c', '0/c/a'])
    expect(ids('both')).toEqual(['0/a/b', '0/b/a', '0/b/c', '0/c/b', '0/c/a', '0/a/c'])
    expect(
      topicsOf(
        topologyWith({ nodes, links: '[{ shape: ring, members: [a, b], policies: [all] }]' }),
        'a' as NodeName,
      ),
    ).toHaveLength(2)
  })
})
