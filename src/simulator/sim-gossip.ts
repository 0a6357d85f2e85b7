/** News on the topics of simulated peers: lost, doubled and overtaken; each member takes a message once, as gossipsub does. */
import { createHash } from 'node:crypto'
import type { GossipMessage, GossipVerdict } from '../gossip/network.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'
import { MAX_RECORD_BYTES } from '../record/tag-record.ts'
import type { SimTraffic } from './sim-channel.ts'
import type { SimLinks } from './sim-links.ts'
import type { SimMember } from './sim-member.ts'
import { createSimOverlay } from './sim-overlay.ts'

/** Rates may change as the simulation goes on. */
export interface SimGossipRates {
  dropRate: number
  readonly duplicateRate: number
  degree?: number
}

export interface SimGossipDeps {
  readonly members: ReadonlyMap<PeerId, SimMember>
  readonly links: SimLinks
  readonly rates: SimGossipRates
  readonly random: Random
  readonly delay: () => Promise<void>
  readonly isAlive: (member: SimMember) => boolean
  readonly onSpread: (from: PeerId, id: string) => void
  readonly onTraffic: (traffic: SimTraffic) => void
}

export interface SimGossip {
  /** Tells a topic's members that are connected, the one that told it excepted. */
  spread(from: SimMember, topic: string, data: Uint8Array, except?: PeerId): void
  /** A member judges a message, and passes it on if it is good. */
  take(to: SimMember, message: GossipMessage): void
  /** Announcements handed over, copies included. */
  delivered(): number
}

export function createSimGossip(deps: SimGossipDeps): SimGossip {
  const { members, links, rates, random, delay, isAlive, onSpread, onTraffic } = deps
  const overlay = createSimOverlay((peer, topic) => members.get(peer)?.topics.has(topic) === true)
  let delivered = 0

  function spread(from: SimMember, topic: string, data: Uint8Array, except?: PeerId): void {
    const id = createHash('sha256').update(topic).update(data).digest('base64')
    onSpread(from.self, id)
    const { degree } = rates
    // The author tells all that it is connected to: gossipsub's floodPublish.
    const isPassedOn = except !== undefined && degree !== undefined
    const to = isPassedOn ? overlay.of(from, topic, degree) : from.connected.keys()
    for (const peer of to) {
      if (peer === except || !members.get(peer)?.topics.has(topic)) continue
      onTraffic({ kind: 'gossip', from: from.self, to: peer, on: topic, bytes: data.length })
      if (random.fraction() < rates.dropRate) continue
      const copies = random.fraction() < rates.duplicateRate ? 2 : 1
      for (let copy = 0; copy < copies; copy += 1) void deliver(from, peer, { topic, data, id })
    }
  }

  async function deliver(
    from: SimMember,
    peer: PeerId,
    { topic, data, id }: { readonly topic: string; readonly data: Uint8Array; readonly id: string },
  ): Promise<void> {
    await delay()
    const connection = from.connected.get(peer)
    if (connection === undefined) return
    // It comes late, or not at all.
    if (!links.passes(from.self, peer)) {
      const isThrough = links.passage(from.self, peer, connection.signal).then(
        () => true,
        () => false,
      )
      if (!(await isThrough)) return
    }
    const to = members.get(peer)
    if (to === undefined || !isAlive(to) || !to.connected.has(from.self)) return
    delivered += 1
    if (to.seen.has(id)) return
    to.seen.add(id)
    take(to, { topic, from: from.self, data })
  }

  function judge({ topics }: SimMember, message: GossipMessage): GossipVerdict {
    if (message.data.length > MAX_RECORD_BYTES) return 'reject'
    try {
      return topics.get(message.topic)?.(message) ?? 'ignore'
    } catch {
      return 'ignore'
    }
  }

  function take(to: SimMember, message: GossipMessage): void {
    const { topic, data, from } = message
    if (judge(to, message) === 'accept') spread(to, topic, data, from)
  }

  return { spread, take, delivered: () => delivered }
}
