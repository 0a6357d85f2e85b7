import { describe, expect, test } from 'vitest'
import type { PeerId } from '../../../src/record/peer-id.ts'
import { createSimOverlay } from '../../../src/simulator/sim-overlay.ts'

const peers = Array.from({ length: 100 }, (_, at) => `peer-${at}` as PeerId)

function memberOf(self: PeerId, others: readonly PeerId[]) {
  return { self, connected: new Map(others.filter((one) => one !== self).map((one) => [one, {}])) }
}

describe('simulator / overlay of a topic', () => {
  test('a member passes on to as many as the degree says, on average, and they to it', () => {
    const overlay = createSimOverlay(() => true)
    const graph = new Map(peers.map((peer) => [peer, overlay.of(memberOf(peer, peers), 't', 6)]))
    const ways = [...graph.values()].reduce((sum, { length }) => sum + length, 0)
    expect(ways / peers.length).toBeGreaterThan(5)
    expect(ways / peers.length).toBeLessThan(7)
    for (const [peer, others] of graph) {
      for (const other of others) expect(graph.get(other)).toContain(peer)
    }
  })

  test('where fewer are connected than the degree, all of the topic are told', () => {
    const overlay = createSimOverlay((peer) => peer !== 'peer-3')
    const member = memberOf('peer-0' as PeerId, peers.slice(0, 5))
    expect(overlay.of(member, 't', 6)).toEqual(['peer-1', 'peer-2', 'peer-4'])
  })

  test('who was connected later is told too', () => {
    const overlay = createSimOverlay(() => true)
    const self = 'peer-0' as PeerId
    expect(overlay.of(memberOf(self, peers.slice(0, 2)), 't', 6)).toEqual(['peer-1'])
    expect(overlay.of(memberOf(self, peers.slice(0, 3)), 't', 6)).toEqual(['peer-1', 'peer-2'])
  })
})
