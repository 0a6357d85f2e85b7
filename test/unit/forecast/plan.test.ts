import { describe, expect, test } from 'vitest'
import { planText } from '../../../src/cli/plan-text.ts'
import { type PlanOptions, planOf } from '../../../src/forecast/plan.ts'
import type { Content, Part } from '../../../src/forecast/plan-content.ts'
import { samplesOf } from '../../../src/forecast/samples.ts'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import type { Topology } from '../../../src/topology/topology.ts'
import { shippedText, topologyOf, topologyWith } from '../../helpers/topology-texts.ts'

const [GIB, MB] = [2 ** 30, 1e6]
/** A Monday at noon. */
const NOW_MS = Date.UTC(2026, 5, 1, 12)

function plan(old: Topology, next: Topology, more: Partial<PlanOptions> = {}) {
  const contents = samplesOf([old, next]).map((sample) => ({ ...sample, parts: [] }))
  return planOf(old, next, { contents, imageBytes: GIB, nowMs: NOW_MS, lints: [], ...more })
}

function changed(name: string, from: string | RegExp, to: string): readonly [Topology, Topology] {
  const text = shippedText(name).replace('generation: 1', 'generation: 2')
  return [topologyOf(shippedText(name)), topologyOf(text.replace(from, to))]
}

const names = (edges: readonly { readonly from: string; readonly to: string }[]) =>
  edges.map(({ from, to }) => `${from} ${to}`)

const POLICIES = `{
  all: { match: { repos: ["**"] }, mode: eager },
  arm: { match: { repos: ["**"], platforms: [linux/arm64] }, mode: eager },
  lazy: { match: { repos: ["lib/**"] }, mode: lazy },
  night: { match: { repos: ["**"] }, mode: scheduled, schedule: { cron: "0 22 * * *", window: 2h, tz: UTC } } }`

function small(links: string, generation = 1, nodes = '{ a: {}, b: {}, c: {} }'): Topology {
  return topologyWith({
    metadata: `{ name: test, generation: ${generation} }`,
    nodes,
    policies: POLICIES,
    links,
  })
}

function image(tag: string, ...parts: readonly Part[]): Content {
  return { repository: 'x/y' as RepositoryName, tag: tag as Tag, parts }
}

const blobs = (sizes: Readonly<Record<string, number>>, platform?: string): Part => ({
  blobs: new Map(Object.entries(sizes)),
  ...(platform === undefined ? {} : { platform }),
})

describe('forecast / plan', () => {
  test('without `match: region` three edges more are there, and a promise fails', () => {
    const { edges, tests, problems } = plan(...changed('three-level', /^ *match: region\n/m, ''))
    expect([edges.before, edges.after]).toEqual([5, 8])
    expect(names(edges.gained)).toEqual(['eu-1 shop-101', 'us-1 shop-001', 'us-1 shop-002'])
    expect([edges.lost, edges.changed, problems]).toEqual([[], [], []])
    expect(tests.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual([
      'a shop never talks to headquarters',
    ])
  })

  test('a ring of one way loses four edges, two promises and every second source', () => {
    const { edges, tests, risks } = plan(
      ...changed('ring', 'direction: both', 'direction: forward'),
    )
    expect([edges.before, edges.after, edges.lost.length]).toEqual([8, 4, 4])
    expect(tests.filter(({ ok }) => !ok)).toHaveLength(2)
    expect(risks.soleSources).toHaveLength(4)
    expect(risks.singlePoints).toContainEqual({ node: 'b', isolates: ['c', 'd'] })
  })

  test('the loss of a region isolates its shops, and a ring isolates nobody', () => {
    const three = topologyOf(shippedText('three-level'))
    const { risks } = plan(three, three)
    expect(risks.singlePoints).toEqual([
      { node: 'eu-1', isolates: ['shop-001', 'shop-002'] },
      { node: 'us-1', isolates: ['shop-101'] },
    ])
    expect(risks.soleWriters).toEqual(['hq'])
    const ring = topologyOf(shippedText('ring'))
    expect(plan(ring, ring).risks).toEqual({ singlePoints: [], soleSources: [], soleWriters: [] })
  })

  test('the bottleneck is the slowest link of the best way, and an image takes at least its bytes over its rate', () => {
    const three = topologyOf(shippedText('three-level'))
    const { slowest } = plan(three, three)
    expect(slowest?.link).toMatchObject({ from: 'eu-1', best: 20e6, worst: 1e6 })
    expect(slowest?.leastMs).toBeCloseTo((GIB * 8) / 20e6 / 1e-3, 0)
    const wider = small(`[{ from: a, to: b, policies: [all], bandwidth: [{ down: 8Mbit }] },
      { from: a, to: c, policies: [all], bandwidth: [{ down: 2Mbit }] },
      { from: b, to: c, policies: [all], bandwidth: [{ down: 4Mbit }] }]`)
    // c takes it by way of b.
    expect(plan(wider, wider).slowest?.link).toMatchObject({ from: 'b', to: 'c', best: 4e6 })
    const free = small('[{ from: a, to: [b, c], policies: [all] }]')
    expect(plan(free, free).slowest).toBeUndefined()
  })

  test('nodes gain and lose content, by what the policies suggest', () => {
    const old = small('[{ from: a, to: b, policies: [all] }]')
    const next = small(
      '[{ from: a, to: c, policies: [all] }, { from: a, to: b, policies: [lazy] }]',
      2,
    )
    const kinds = plan(old, next).changes.map(({ repository, nodes }) => [
      repository,
      ...nodes.map(({ node, before, after }) => `${node} ${before} -> ${after}`),
    ])
    expect(kinds).toEqual([
      ['any', 'b present -> absent', 'c absent -> present'],
      ['lib/any', 'b present -> available', 'c absent -> present'],
    ])
  })

  test('what several images share moves once, over the link that brings it, at the rate of the hours to come', () => {
    const old = small('[{ from: a, to: b, policies: [all] }]')
    const next = small(
      `[{ from: a, to: b, policies: [all] },
        { from: b, to: c, policies: [all], bandwidth: [{ when: "13:00-24:00", down: 8Mbit }, { down: 4Mbit }] }]`,
      2,
    )
    const contents = [
      image('1', blobs({ base: 2_000 * MB, one: 500 * MB })),
      image('2', blobs({ base: 2_000 * MB, two: 500 * MB })),
    ]
    const { moves, changes } = plan(old, next, { contents })
    // An hour at 4 Mbit/s moves 1.8 GB, the rest goes at 8.
    expect(moves).toEqual([{ from: 'b', to: 'c', bytes: 3_000 * MB, ms: 3_600_000 + 1_200_000 }])
    expect(changes).toEqual([
      {
        repository: 'x/y',
        tag: '1',
        images: 2,
        nodes: [{ node: 'c', before: 'absent', after: 'present' }],
      },
    ])
  })

  test('of an index only the platforms move that the node takes and does not hold', () => {
    const index = image(
      '1',
      blobs({ amd: 10 }, 'linux/amd64'),
      blobs({ arm: 20 }, 'linux/arm64'),
      blobs({ note: 1 }),
    )
    const none = small('[{ from: a, to: b, policies: [all] }]')
    const arm = small(
      '[{ from: a, to: [b], policies: [all] }, { from: a, to: c, policies: [arm] }]',
      2,
    )
    const all = small('[{ from: a, to: [b, c], policies: [all] }]', 3)
    const bytes = (old: Topology, next: Topology) =>
      plan(old, next, { contents: [index] }).moves.map((move) => move.bytes)
    expect(bytes(none, arm)).toEqual([21])
    expect(bytes(arm, all)).toEqual([10])
    expect(bytes(all, arm)).toEqual([])
  })

  test('bytes that wait for windows move in them alone', () => {
    const none = small('[{ from: a, to: b, policies: [all] }]')
    const night = small(
      `[{ from: a, to: b, policies: [all] },
        { from: a, to: c, policies: [night], bandwidth: [{ down: 8Mbit }] }]`,
      2,
    )
    // 3 h of transfer from 22:00: two the first night, one the next.
    const contents = [image('1', blobs({ layer: 3 * 3_600 * MB }))]
    const [move] = plan(none, night, { contents }).moves
    expect(move?.ms).toBe((10 + 24 + 1) * 3_600_000)
  })

  test('another realm and a generation that is not higher are no change that a node takes', () => {
    const old = small('[{ from: a, to: b, policies: [all] }]', 3)
    const next = small('[{ from: a, to: [b, c], policies: [all] }]', 3)
    expect(plan(old, next).problems).toEqual([
      'the generation is 3; no node takes it before it is 4 or more',
    ])
    expect(plan(old, old).problems).toEqual([])
    const other = topologyWith({ metadata: '{ name: other, generation: 9 }' })
    expect(plan(old, other).problems).toEqual([
      'the realm changes from test to other: it would be another mesh',
    ])
  })

  test('a policy that changes changes the edges that carry it', () => {
    const old = small('[{ from: a, to: b, policies: [all] }]')
    const next = small('[{ from: a, to: b, policies: [arm] }]', 2)
    expect(names(plan(old, next).edges.changed)).toEqual(['a b'])
  })

  test('a plan reads from what changes to what it rests on', () => {
    const result = plan(...changed('three-level', /^ *match: region\n/m, ''))
    expect(planText(result, { imageBytes: GIB, isMeasured: false })).toBe(
      `
Edges: 5 before, 8 after; 3 gained, 0 lost, 0 changed
  + eu-1 -> shop-101  pos-at-night
  + us-1 -> shop-001  pos-at-night
  + us-1 -> shop-002  pos-at-night

Content: no node gains or loses any (images that the policies suggest; real ones with --url)

No second source than hq: eu-1, us-1
Only writer of some repositories: hq; without it nothing new comes

Bottleneck: eu-1 -> shop-001, 20Mbit
Least time of an image of 1.1 GB to the last node: 7m 10s; at the slowest hour 1Mbit, 2h 24m (pos/any:3.0.0 from hq)

FAIL  a shop never talks to headquarters
        expected every way over us-1; there is hq -> eu-1 -> shop-101
In the new file: 8 tests: 7 good, 1 failed
`.trim(),
    )
  })
})
