import { describe, expect, test } from 'vitest'
import { createNeighbours, type HelloFacts } from '../../../src/peers/neighbours.ts'
import { createSimClock } from '../../../src/simulator/sim-clock.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { starTopology } from '../../helpers/star-topology.ts'

const [hub, edge] = ['hub', 'edge'] as NodeName[] as [NodeName, NodeName]
const FACTS: HelloFacts = {
  generation: 1,
  topologyHash: 'hash',
  epoch: 'epoch',
  token: 'a token of sixteen',
}

function setUp(endpoints: Readonly<Record<string, string>> = {}) {
  const clock = createSimClock(1_000)
  const topology = starTopology(['edge', 'edge-2'], { endpoints })
  const advance = (ms: number) => {
    void clock.sleep(ms)
    clock.step(clock.now() + ms)
  }
  return { advance, neighbours: createNeighbours({ topology, self: edge, clock }) }
}

describe('neighbours', () => {
  test('the nodes joined to this one by a link are listed, down at first', () => {
    const { neighbours } = setUp()
    expect(neighbours.list()).toEqual([{ name: hub, state: 'down', sinceMs: 1_000 }])
  })

  test('one is up from its first hello on, until it is lost', () => {
    const { neighbours, advance } = setUp()
    advance(500)
    expect(neighbours.greeted(hub, FACTS)).toBe(true)
    advance(500)
    neighbours.greeted(hub, { ...FACTS, epoch: 'another' })
    expect(neighbours.isUp(hub)).toBe(true)
    expect(neighbours.list()[0]).toMatchObject({ state: 'up', sinceMs: 1_500 })
    expect(neighbours.list()[0]?.facts?.epoch).toBe('another')
    advance(500)
    neighbours.lost(hub)
    expect(neighbours.isUp(hub)).toBe(false)
    expect(neighbours.list()[0]).toMatchObject({ state: 'down', sinceMs: 2_500 })
  })

  test('a node that is no neighbour is none after its hello either', () => {
    const { neighbours } = setUp()
    expect(neighbours.greeted('edge-2' as NodeName, FACTS)).toBe(false)
    expect(neighbours.isUp('edge-2' as NodeName)).toBe(false)
    expect(neighbours.list()).toHaveLength(1)
  })

  test('the last error is shown until the next hello', () => {
    const { neighbours } = setUp()
    neighbours.failed(hub, 'not reached')
    expect(neighbours.list()[0]?.lastError).toBe('not reached')
    neighbours.greeted(hub, FACTS)
    expect(neighbours.list()[0]?.lastError).toBeUndefined()
  })

  test('its registry is at the endpoint of the file, or else where it says itself', () => {
    const said = { ...FACTS, endpoint: 'http://said:5000' }
    const silent = setUp().neighbours
    silent.greeted(hub, FACTS)
    expect(silent.endpointOf(hub)).toBeUndefined()
    silent.greeted(hub, said)
    expect(silent.endpointOf(hub)).toEqual({ endpoint: 'http://said:5000', token: FACTS.token })
    const declared = setUp({ hub: 'http://declared:5000' }).neighbours
    expect(declared.endpointOf(hub)).toBeUndefined()
    declared.greeted(hub, said)
    expect(declared.endpointOf(hub)?.endpoint).toBe('http://declared:5000')
    declared.lost(hub)
    expect(declared.endpointOf(hub)).toBeUndefined()
  })
})
