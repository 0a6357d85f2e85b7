/**
 * A network in memory, on simulated time: connections come up and break, announcements are dropped, doubled and
 * overtaken by a seeded source of chance. Channels are like TCP: in order and whole, or broken.
 */
import { createHash } from 'node:crypto'
import {
  type Channel,
  type ChannelHandler,
  type GossipMessage,
  type GossipVerdict,
  MAX_FRAME_BYTES,
  type Network,
} from '../gossip/network.ts'
import { reasonOf } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'
import { MAX_RECORD_BYTES } from '../record/tag-record.ts'

export interface SimHubOptions {
  /** Probability that one announcement on one link is lost. */
  dropRate: number
  /** Probability that it arrives twice. */
  readonly duplicateRate: number
  /** Each message and connection takes up to this, milliseconds. */
  readonly maxDelayMs: number
}

export interface SimHub {
  network(self: PeerId, neighbours: readonly PeerId[]): Network
  /** Cuts or heals the link between two peers. */
  setLink(a: PeerId, b: PeerId, isUp: boolean): void
  /** The process is gone: nothing of it runs on, its peers see the connection break. */
  crash(peer: PeerId): void
  areConnected(a: PeerId, b: PeerId): boolean
  /** Announcements handed over, copies included. */
  delivered(): number
  options: SimHubOptions
}

interface Member {
  readonly self: PeerId
  readonly neighbours: readonly PeerId[]
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

export function createSimHub(
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  options: SimHubOptions,
): SimHub {
  const members = new Map<PeerId, Member>()
  const cut = new Set<string>()
  let delivered = 0
  const pair = (a: PeerId, b: PeerId) => [a, b].sort().join(' ')
  const delay = () => clock.sleep(hub.options.maxDelayMs * random.fraction())

  /** Connects two members when both run, know each other and the link is up. */
  async function connect(a: Member, b: Member): Promise<void> {
    await delay()
    if (!isAlive(a) || !isAlive(b)) return
    if (cut.has(pair(a.self, b.self)) || a.connected.has(b.self)) return
    const [knowsB, knowsA] = [a.neighbours.includes(b.self), b.neighbours.includes(a.self)]
    if (knowsB && !knowsA) refuse(b, a)
    if (knowsA && !knowsB) refuse(a, b)
    if (!knowsA || !knowsB) return
    const until = Math.max(a.cutOffUntilMs.get(b.self) ?? 0, b.cutOffUntilMs.get(a.self) ?? 0)
    if (clock.now() < until) {
      await clock.sleep(until - clock.now())
      return connect(a, b)
    }
    a.connected.set(b.self, new AbortController())
    b.connected.set(a.self, new AbortController())
    for (const tell of a.up) tell(b.self)
    for (const tell of b.up) tell(a.self)
  }

  function refuse(member: Member, { self }: Member): void {
    if (member.strangers.has(self)) return
    member.strangers.add(self)
    for (const tell of member.stranger) tell(self, `/memory/${self}`)
  }

  function isAlive(member: Member): boolean {
    return member.isRunning && members.get(member.self) === member
  }

  function disconnect(a: Member, b: Member): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const connection = from.connected.get(to.self)
      if (connection === undefined) continue
      from.connected.delete(to.self)
      connection.abort(new EntrepotError('CHANNEL_CLOSED', 'the connection broke'))
      if (isAlive(from)) for (const tell of from.down) tell(to.self)
    }
  }

  function spread(from: Member, topic: string, data: Uint8Array, except?: PeerId): void {
    for (const peer of from.connected.keys()) {
      if (peer === except || !members.get(peer)?.topics.has(topic)) continue
      if (random.fraction() < hub.options.dropRate) continue
      const copies = random.fraction() < hub.options.duplicateRate ? 2 : 1
      for (let copy = 0; copy < copies; copy += 1) void deliver(from, peer, topic, data)
    }
  }

  async function deliver(from: Member, peer: PeerId, topic: string, data: Uint8Array) {
    await delay()
    const to = members.get(peer)
    if (to === undefined || !isAlive(to) || !to.connected.has(from.self)) return
    delivered += 1
    const id = createHash('sha256').update(topic).update(data).digest('hex')
    if (to.seen.has(id)) return
    to.seen.add(id)
    if (judge(to, { topic, from: from.self, data }) === 'accept') spread(to, topic, data, from.self)
  }

  function judge({ topics }: Member, message: GossipMessage): GossipVerdict {
    if (message.data.length > MAX_RECORD_BYTES) return 'reject'
    try {
      return topics.get(message.topic)?.(message) ?? 'ignore'
    } catch {
      return 'ignore'
    }
  }

  function openChannel(from: Member, peer: PeerId, protocol: string): Channel {
    const connection = from.connected.get(peer)
    if (connection === undefined) {
      throw new EntrepotError('PEER_NOT_CONNECTED', `${peer} is not connected`)
    }
    const closed = new AbortController()
    const over = AbortSignal.any([connection.signal, closed.signal])
    return {
      request: async (frame, { signal } = {}) => {
        if (frame.length > MAX_FRAME_BYTES) throw new RangeError('frame is too large')
        const ends = signal === undefined ? over : AbortSignal.any([over, signal])
        const exchange = async () => {
          await delay()
          const handler = members.get(peer)?.handlers.get(protocol)
          if (handler === undefined || over.aborted) throw new Error('no such protocol')
          const reply = await handler(frame, { peer: from.self, signal: over })
          await delay()
          return reply
        }
        try {
          return await untilAborted(exchange(), ends)
        } catch (cause) {
          closed.abort()
          signal?.throwIfAborted()
          throw new EntrepotError('CHANNEL_CLOSED', 'the channel ended', { cause })
        }
      },
      close: async () => closed.abort(),
    }
  }

  const hub: SimHub = {
    options,
    areConnected: (a, b) => members.get(a)?.connected.has(b) === true,
    delivered: () => delivered,
    setLink: (a, b, isUp) => {
      const [one, two] = [members.get(a), members.get(b)]
      if (isUp) cut.delete(pair(a, b))
      else cut.add(pair(a, b))
      if (one === undefined || two === undefined) return
      if (isUp) void connect(one, two)
      else disconnect(one, two)
    },
    crash: (peer) => {
      const member = members.get(peer)
      if (member === undefined) return
      member.isRunning = false
      members.delete(peer)
      for (const other of members.values()) disconnect(member, other)
    },
    network: (self, neighbours) => {
      const member: Member = {
        self,
        neighbours,
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
      members.set(self, member)
      return {
        start: async () => {
          member.isRunning = true
          for (const other of members.values()) if (other !== member) void connect(member, other)
        },
        addresses: () => [`/memory/${self}`],
        join: (topic, validate) => void member.topics.set(topic, validate),
        publish: async (topic, data) => {
          if (isAlive(member)) spread(member, topic, data)
        },
        handle: (protocol, answer) => void member.handlers.set(protocol, answer),
        open: async (peer, protocol) => openChannel(member, peer, protocol),
        connected: () => [...member.connected.keys()],
        cutOff: async (peer, ms) => {
          member.cutOffUntilMs.set(peer, clock.now() + ms)
          const other = members.get(peer)
          if (other === undefined) return
          disconnect(member, other)
          void connect(member, other)
        },
        onUp: (listener) => void member.up.push(listener),
        onDown: (listener) => void member.down.push(listener),
        onStranger: (listener) => void member.stranger.push(listener),
        [Symbol.asyncDispose]: async () => {
          if (members.get(self) !== member) return
          for (const other of members.values()) disconnect(member, other)
          hub.crash(self)
        },
      }
    },
  }
  return hub
}

function untilAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(reasonOf(signal))
    signal.addEventListener('abort', () => reject(reasonOf(signal)), { once: true })
    result.then(resolve, reject)
  })
}
