import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createHolders } from '../../../src/peers/holders.ts'
import { createSourceRanking } from '../../../src/peers/source-ranking.ts'
import { createTransferMeter } from '../../../src/peers/transfer-meter.ts'
import { createSimClock } from '../../../src/simulator/sim-clock.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

const repository = 'demo/hello' as RepositoryName
const digest = `sha256:${'0'.repeat(64)}` as Digest
const MIB = 1024 * 1024
const [a, b, c, d] = ['a', 'b', 'c', 'd'] as NodeName[] as [NodeName, NodeName, NodeName, NodeName]

/** Four nodes that send to each other; this one is d. */
const { topology } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes: { c: {}, b: {}, a: {}, d: {} }
origins:
  - { repos: ["**"], writers: a }
policies:
  all: { match: { repos: ["demo/**"] }, mode: eager }
links:
  - { shape: mesh, members: [a, b, c, d], policies: [all] }
`)

function setUp() {
  const clock = createSimClock(1_000_000)
  const up = new Set<NodeName>([a, b, c])
  const holders = createHolders()
  const meter = createTransferMeter({ clock })
  const neighbours = { isUp: (node: NodeName) => up.has(node) }
  const ranking = createSourceRanking({
    topology: topology!,
    self: d,
    neighbours,
    holders,
    clock,
    meter,
  })
  const advance = (ms: number) => {
    void clock.sleep(ms)
    clock.step(clock.now() + ms)
  }
  return {
    clock,
    up,
    holders,
    meter,
    ranking,
    advance,
    rank: () => ranking.rank(repository, digest),
  }
}

describe('source ranking', () => {
  test('without any knowledge the sources that are up come by name', () => {
    const { rank, up, ranking } = setUp()
    expect(rank()).toEqual([a, b, c])
    up.delete(a)
    expect(rank()).toEqual([b, c])
    expect(ranking.rank('private/x' as RepositoryName, digest)).toEqual([])
  })

  test('who is known to hold it comes first, until it says that it does not', () => {
    const { rank, holders, ranking } = setUp()
    holders.note(c, repository, digest)
    expect(rank()).toEqual([c, a, b])
    ranking.failed(c, repository, digest, { isAbsent: true })
    expect(rank()).toEqual([a, b, c])
  })

  test('who failed comes last for ten seconds, holder or not', () => {
    const { rank, holders, ranking, advance } = setUp()
    holders.note(a, repository, digest)
    ranking.failed(a, repository, digest, { isAbsent: false })
    expect(rank()).toEqual([b, c, a])
    advance(9_999)
    expect(rank()).toEqual([b, c, a])
    advance(1)
    expect(rank()).toEqual([a, b, c])
  })

  test('fewer transfers under way count before speed, and speed before the name', () => {
    const { rank, meter, advance } = setUp()
    const slow = meter.begin(a)
    const fast = meter.begin(b)
    expect(rank()).toEqual([c, a, b])
    advance(1_000)
    slow(MIB)
    fast(8 * MIB)
    expect(rank()).toEqual([b, a, c])
    const end = meter.begin(b)
    expect(rank()).toEqual([a, c, b])
    end(0)
    expect(rank()).toEqual([b, a, c])
  })
})

/** This node is d: the writer a far away, b and c as neighbours in a mesh, e behind a link that says nothing of peers. */
const { topology: near } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes:
  a: { locality: { region: east, zone: east-1 } }
  b: { locality: { region: west, zone: west-1 } }
  c: { locality: { region: west, zone: west-2 } }
  d: { locality: { region: west, zone: west-2 } }
  e: { locality: { region: west, zone: west-2 } }
origins:
  - { repos: ["**"], writers: a }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
  demo: { match: { repos: ["demo/**"] }, mode: eager }
links:
  - { shape: star, center: a, leaves: [b, c, d, e], policies: [all] }
  - { shape: mesh, members: [b, c, d], policies: [demo], fetch: peers-first }
  - { from: e, to: d, policies: [all] }
`)

describe('source ranking by links', () => {
  const e = 'e' as NodeName

  function setUpNear() {
    const clock = createSimClock(1_000_000)
    const holders = createHolders()
    const limits = new Map<NodeName, number>()
    const ranking = createSourceRanking({
      topology: near!,
      self: d,
      neighbours: { isUp: () => true },
      holders,
      clock,
      limit: (node) => limits.get(node),
    })
    const rank = (name = repository) => ranking.rank(name, digest)
    return { ranking, holders, limits, rank }
  }

  test('peers come before other sources where their link says so: same zone, same region, elsewhere', () => {
    const { rank } = setUpNear()
    expect(rank()).toEqual([c, b, a, e])
  })

  test('who is known to hold it comes before a peer that is not', () => {
    const { rank, holders } = setUpNear()
    holders.note(a, repository, digest)
    expect(rank()).toEqual([a, c, b, e])
    holders.note(b, repository, digest)
    expect(rank()).toEqual([b, a, c, e])
  })

  test('a peer that failed lately comes last', () => {
    const { rank, ranking } = setUpNear()
    ranking.failed(c, repository, digest, { isAbsent: false })
    expect(rank()).toEqual([b, a, e, c])
  })

  test('a link with peers gives nothing that its policies do not name, and no preference for it', () => {
    expect(setUpNear().rank('other/x' as RepositoryName)).toEqual([a, e])
  })

  test('a source without a limit comes before one with, a higher limit before a lower, and a closed link last', () => {
    const { rank, limits, ranking } = setUpNear()
    const other = 'other/x' as RepositoryName
    limits.set(a, 1_000_000)
    expect(rank(other)).toEqual([e, a])
    limits.set(e, 2_000_000)
    expect(rank(other)).toEqual([e, a])
    limits.set(e, 500_000)
    expect(rank(other)).toEqual([a, e])
    limits.set(a, 0)
    expect(rank(other)).toEqual([e, a])
    ranking.failed(e, other, digest, { isAbsent: false })
    expect(rank(other)).toEqual([e, a])
    // A limit does not make a peer a stranger.
    limits.set(c, 1_000)
    expect(rank()).toEqual([c, b, e, a])
  })
})

describe('the transfer meter', () => {
  test('what a limit held back says nothing of the source', () => {
    const { clock, advance } = setUp()
    const limits = new Map<NodeName, number>([[a, 1_000_000]])
    const meter = createTransferMeter({ clock, limit: (node) => limits.get(node) })
    const transfer = () => {
      const end = meter.begin(a)
      advance(1_000)
      end(4 * MIB)
    }
    transfer()
    expect(meter.speed(a)).toBeUndefined()
    limits.clear()
    transfer()
    expect(meter.speed(a)).toBe(4 * MIB)
  })

  test('the speed is a moving average of transfers that are large enough to show it', () => {
    const { meter, advance } = setUp()
    const transfer = (bytes: number) => {
      const end = meter.begin(a)
      advance(1_000)
      end(bytes)
    }
    transfer(1_000)
    expect(meter.speed(a)).toBeUndefined()
    transfer(4 * MIB)
    expect(meter.speed(a)).toBe(4 * MIB)
    transfer(8 * MIB)
    expect(meter.speed(a)).toBe(5 * MIB)
    expect(meter.running(a)).toBe(0)
  })
})
