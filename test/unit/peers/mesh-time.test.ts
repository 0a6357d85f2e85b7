import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { MeshEvent } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createMeshTime, medianOf, offsetOf } from '../../../src/peers/mesh-time.ts'
import { createNeighbours } from '../../../src/peers/neighbours.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

/** Two hubs that send to each other, a third that may write too; two edges that only receive, and a relay between. */
const { topology, findings } = readTopology(`
apiVersion: entrepot/v1
kind: Topology
metadata: { name: tests, generation: 1 }
nodes: { a: {}, b: {}, c: {}, relay: {}, edge-1: {}, edge-2: {} }
origins:
  - { repos: ["**"], writers: [a, b, c], conflict: { tags: register, resolve: hlc-lww } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: mesh, members: [a, b, c], policies: [all] }
  - { shape: star, center: a, leaves: [relay, edge-1, edge-2], policies: [all] }
  - { shape: star, center: b, leaves: [relay], policies: [all] }
  - { shape: star, center: c, leaves: [relay], policies: [all] }
`)
const HOUR_MS = 3_600_000
const FACTS = { generation: 1, topologyHash: '', epoch: 'e', token: 'a token of sixteen' }

function setUp(self: string) {
  if (topology === undefined) throw new Error(JSON.stringify(findings))
  const clock = createFakeClock()
  const events = createEventBus({ logger: silentLogger })
  const happened: MeshEvent[] = []
  events.onAny((event) => happened.push(event))
  const neighbours = createNeighbours({ topology, self: self as NodeName, clock })
  /** True time; clocks of others by how far they are off it. */
  const off = new Map<NodeName, number>()
  const measured: NodeName[] = []
  const truth = { ownOffMs: 0 }
  const hear = (node: NodeName) => {
    measured.push(node)
    neighbours.measured(node, (off.get(node) ?? 0) - truth.ownOffMs)
  }
  const meshTime = createMeshTime({
    topology,
    self: self as NodeName,
    neighbours,
    measure: async (node) => hear(node),
    events,
    clock,
    logger: silentLogger,
  })
  const up = (name: string, offMs = 0) => {
    off.set(name as NodeName, offMs)
    neighbours.greeted(name as NodeName, FACTS)
    hear(name as NodeName)
  }
  /** The wall clock of this node jumps. */
  const jump = (ms: number) => {
    truth.ownOffMs += ms
    clock.jump(ms)
  }
  const down = (name: string) => neighbours.lost(name as NodeName)
  return { clock, neighbours, meshTime, up, down, jump, off, hear, happened, measured, truth }
}

describe('mesh time', () => {
  test('a node goes by the median of its sources, and by its own clock where it has none', () => {
    const { meshTime, clock, up } = setUp('relay')
    expect(meshTime.now()).toBe(clock.now())
    up('a', 5_000)
    up('b', 7_000)
    up('c', -HOUR_MS)
    expect(meshTime.now() - clock.now()).toBe(5_000)
    expect(meshTime.view()).toEqual({ offsetMs: 5_000, sources: ['a', 'b', 'c'] })
  })

  test('what a writer reads back from an edge says nothing of the time', () => {
    const { meshTime, clock, up } = setUp('a')
    up('edge-1', HOUR_MS)
    up('edge-2', HOUR_MS)
    up('relay', HOUR_MS)
    expect(meshTime.now()).toBe(clock.now())
    expect(meshTime.refusal()).toBeUndefined()
  })

  test('a connection that is lost for a moment does not move time', () => {
    const { meshTime, clock, up, down } = setUp('edge-1')
    up('a', HOUR_MS)
    down('a')
    expect(meshTime.now() - clock.now()).toBe(HOUR_MS)
    up('a', 0)
    expect(meshTime.now()).toBe(clock.now())
  })

  test('who may write nothing is never told that it may not sign', async () => {
    const { meshTime, up } = setUp('edge-1')
    up('a', HOUR_MS)
    expect(await meshTime.check()).toBeUndefined()
  })

  test('a writer a minute off the median of those that it can compare with signs nothing, says why, and goes on by itself', async () => {
    const { meshTime, up, jump, hear, happened } = setUp('a')
    up('b')
    up('c')
    jump(59_000)
    for (const name of ['b', 'c'] as NodeName[]) hear(name)
    expect(await meshTime.check()).toBeUndefined()
    jump(2_000)
    for (const name of ['b', 'c'] as NodeName[]) hear(name)
    const reason = meshTime.refusal()
    expect(reason).toBe(
      'the clock of node a is 61 s ahead of b, c (median of 2), so it signs nothing; set the clocks right, for example by NTP: it goes on by itself',
    )
    jump(-61_000)
    expect(await meshTime.check()).toBeUndefined()
    expect(happened.filter(({ kind }) => kind === 'writer-clock')).toEqual([
      { kind: 'writer-clock', reason },
      { kind: 'writer-clock' },
    ])
  })

  test('a push finds out a jump of the own clock before any feed has told of it, both ways', async () => {
    for (const ms of [HOUR_MS, -HOUR_MS]) {
      const { meshTime, up, jump, measured } = setUp('a')
      up('b')
      up('c')
      const before = measured.length
      expect(await meshTime.check()).toBeUndefined()
      // Offsets are fresh: nobody is asked.
      expect(measured.length).toBe(before)
      jump(ms)
      expect(await meshTime.check()).toMatch(ms > 0 ? '3600 s ahead of b, c' : '3600 s behind b, c')
    }
  })

  test('one other clock alone is enough to refuse, and the message says that nobody can tell', () => {
    const { meshTime, up, down } = setUp('a')
    up('b', HOUR_MS)
    expect(meshTime.refusal()).toContain('is 3600 s behind b; with one other clock alone nobody')
    // Who cannot be reached does not count.
    down('b')
    expect(meshTime.refusal()).toBeUndefined()
    up('b', HOUR_MS)
    up('c')
    expect(meshTime.refusal()).toBeUndefined()
  })

  test('who does not answer when a push asks does not count, and the push does not wait for it long', async () => {
    const { meshTime, up, jump, neighbours, clock } = setUp('a')
    up('b')
    if (topology === undefined) throw new Error('the topology is right')
    const silent = createMeshTime({
      topology,
      self: 'a' as NodeName,
      neighbours,
      measure: () => new Promise(() => {}),
      events: createEventBus({ logger: silentLogger }),
      clock,
      logger: silentLogger,
    })
    jump(HOUR_MS)
    const checking = silent.check()
    await clock.advance(3_000)
    expect(await checking).toBeUndefined()
    expect(await meshTime.check()).toContain('3600 s ahead')
  })

  test('who has said nothing of its clock for long does not count, although it is connected', async () => {
    const { up, neighbours, clock } = setUp('a')
    if (topology === undefined) throw new Error('the topology is right')
    const silent = createMeshTime({
      topology,
      self: 'a' as NodeName,
      neighbours,
      measure: () => Promise.reject(new Error('not answered')),
      events: createEventBus({ logger: silentLogger }),
      clock,
      logger: silentLogger,
    })
    up('b', HOUR_MS)
    expect(await silent.check()).toContain('behind b')
    await clock.advance(46_000)
    expect(await silent.check()).toBeUndefined()
  })

  test('whoever waits for a time is told when it jumps, and not when it is measured a little differently', () => {
    const { meshTime, up } = setUp('edge-1')
    let jumps = 0
    meshTime.onJump(() => {
      jumps += 1
    })
    up('a', 20)
    up('a', -400)
    expect(jumps).toBe(0)
    up('a', 5_000)
    expect(jumps).toBe(1)
  })

  test('the median is one of the offsets, and less than half of them cannot move it past the others', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1, maxLength: 9 }),
        fc.array(fc.integer({ min: -1e12, max: 1e12 }), { maxLength: 9 }),
        (honest, wrong) => {
          const liars = wrong.slice(0, Math.ceil(honest.length / 2) - 1)
          const median = medianOf([...honest, ...liars])
          expect([...honest, ...liars]).toContain(median)
          expect(median).toBeGreaterThanOrEqual(Math.min(0, ...honest))
          expect(median).toBeLessThanOrEqual(Math.max(0, ...honest))
        },
      ),
    )
    expect([medianOf([]), medianOf([HOUR_MS, 0]), medianOf([-5, HOUR_MS])]).toEqual([0, 0, -5])
  })

  test('an offset is measured however long the answer waited, and not where a clock jumped meanwhile', () => {
    // The other clock is 10 s ahead; 300 ms there and back.
    const reading = { sentMs: 1_000, receivedMs: 31_300, theirMs: 41_150, heldMs: 30_000 }
    expect(offsetOf(reading)).toBe(10_000)
    expect(offsetOf({ ...reading, receivedMs: 31_300 + HOUR_MS })).toBeUndefined()
    expect(offsetOf({ ...reading, receivedMs: 31_300 - HOUR_MS })).toBeUndefined()
    expect(offsetOf({ ...reading, heldMs: HOUR_MS })).toBeUndefined()
    expect(offsetOf({ ...reading, heldMs: 0 })).toBeUndefined()
  })
})
