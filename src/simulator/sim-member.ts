/** One peer of a simulated network: what it listens to, and whom it is connected to. */
import type { ChannelHandler, GossipMessage, GossipVerdict } from '../gossip/network.ts'
import type { PeerId } from '../record/peer-id.ts'

export interface SimMember {
  readonly self: PeerId
  readonly neighbours: ReadonlySet<PeerId>
  readonly topics: Map<string, (message: GossipMessage) => GossipVerdict>
  readonly handlers: Map<string, ChannelHandler>
  readonly up: ((peer: PeerId) => void)[]
  readonly down: ((peer: PeerId) => void)[]
  readonly stranger: ((peer: string, address: string) => void)[]
  readonly strangers: Set<PeerId>
  readonly connected: Map<PeerId, AbortController>
  readonly seen: Set<string>
  readonly cutOffUntilMs: Map<PeerId, number>
  isRunning: boolean
}

export function createSimMember(self: PeerId, neighbours: readonly PeerId[]): SimMember {
  return {
    self,
    neighbours: new Set(neighbours),
    topics: new Map(),
    handlers: new Map(),
    up: [],
    down: [],
    stranger: [],
    strangers: new Set(),
    connected: new Map(),
    seen: new Set(),
    cutOffUntilMs: new Map(),
    isRunning: false,
  }
}
