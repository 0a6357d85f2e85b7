/**
 * A network in memory, on simulated time: connections come up and break, announcements are dropped, doubled and
 * overtaken by a seeded source of chance. Channels are like TCP: in order and whole, or broken.
 */
import type { Channel, Network } from '../gossip/network.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'
import { openSimChannel, type SimTraffic } from './sim-channel.ts'
import { createSimGossip } from './sim-gossip.ts'
import { createSimLinks } from './sim-links.ts'
import { createSimMember, type SimMember } from './sim-member.ts'

export interface SimHubOptions {
  /** Probability that one announcement on one link is lost. */
  dropRate: number
  /** Probability that it arrives twice. */
  readonly duplicateRate: number
  /** Probability that a slice of a blob arrives with a wrong byte. */
  corruptRate?: number
  /** Each message and connection takes up to this longer, milliseconds. */
  readonly maxDelayMs: number
  /** And this at least; 0 where it is not given. */
  readonly leastDelayMs?: number
  /** Members of a topic to whom one passes on what it heard there, on average; all that are connected where it is not given. */
  readonly degree?: number
}

export interface SimObserver {
  /** A member hands news to a topic: published there, or passed on. `id` is of topic and bytes. */
  readonly onSpread?: (from: PeerId, id: string) => void
  /** Bytes set out, lost ones included. */
  readonly onTraffic?: (traffic: SimTraffic) => void
}

export interface SimHub {
  network(self: PeerId, neighbours: readonly PeerId[]): Network
  /** Cuts or heals the link between two peers, both directions: a connection breaks at once. */
  setLink(a: PeerId, b: PeerId, isUp: boolean): void
  /** Cuts or heals one direction: what is under way stalls, and the connection breaks some time later. */
  setOneWay(from: PeerId, to: PeerId, isUp: boolean): void
  /** What a neighbour that has gone wrong might say: it does not come from its process. */
  inject(from: PeerId, to: PeerId, topic: string, data: Uint8Array): void
  /** The process is gone: nothing of it runs on, its peers see the connection break. */
  crash(peer: PeerId): void
  areConnected(a: PeerId, b: PeerId): boolean
  /** Announcements handed over, copies included. */
  delivered(): number
  options: SimHubOptions
}

/** Both ends of a link that carries one way only find out by their pings, milliseconds. */
const STALL_MS = { least: 5_000, most: 45_000 }

export interface SimHubDeps extends SimObserver {
  readonly clock: Clock
  readonly random: Random
}

export function createSimHub(deps: SimHubDeps, options: SimHubOptions): SimHub {
  const { clock, random, onSpread = () => {}, onTraffic = () => {} } = deps
  const members = new Map<PeerId, SimMember>()
  const links = createSimLinks()
  const isWhole = (a: PeerId, b: PeerId) => links.passes(a, b) && links.passes(b, a)
  const delayMs = () => (hub.options.leastDelayMs ?? 0) + hub.options.maxDelayMs * random.fraction()
  const delay = () => clock.sleep(delayMs())
  const gossip = createSimGossip({
    members,
    links,
    rates: options,
    random,
    delay,
    isAlive,
    onSpread,
    onTraffic,
  })

  /** Connects two members when both run, know each other and the link is up. */
  async function connect(a: SimMember, b: SimMember): Promise<void> {
    const ms = delayMs()
    const [knowsB, knowsA] = [a.neighbours.has(b.self), b.neighbours.has(a.self)]
    if (!knowsA && !knowsB) return
    await clock.sleep(ms)
    if (!isAlive(a) || !isAlive(b)) return
    if (!isWhole(a.self, b.self) || a.connected.has(b.self)) return
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

  function refuse(member: SimMember, { self }: SimMember): void {
    if (member.strangers.has(self)) return
    member.strangers.add(self)
    for (const tell of member.stranger) tell(self, `/memory/${self}`)
  }

  function isAlive(member: SimMember): boolean {
    return member.isRunning && members.get(member.self) === member
  }

  function disconnect(a: SimMember, b: SimMember): void {
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

  function openChannel(from: SimMember, peer: PeerId, protocol: string): Channel {
    const connection = from.connected.get(peer)
    if (connection === undefined) {
      throw new EntrepotError('PEER_NOT_CONNECTED', `${peer} is not connected`)
    }
    const handler = () => members.get(peer)?.handlers.get(protocol)
    const ends = { from: from.self, to: peer, protocol, connection: connection.signal, handler }
    return openSimChannel({ links, delay, onTraffic }, ends)
  }

  function connectPeers(a: PeerId, b: PeerId): void {
    const [one, two] = [members.get(a), members.get(b)]
    if (one !== undefined && two !== undefined) void connect(one, two)
  }

  function disconnectPeers(a: PeerId, b: PeerId): void {
    const [one, two] = [members.get(a), members.get(b)]
    if (one !== undefined && two !== undefined) disconnect(one, two)
  }

  async function breakWhenStalled(a: PeerId, b: PeerId): Promise<void> {
    await clock.sleep(STALL_MS.least + random.fraction() * (STALL_MS.most - STALL_MS.least))
    if (!isWhole(a, b)) disconnectPeers(a, b)
  }

  const hub: SimHub = {
    options,
    areConnected: (a, b) => members.get(a)?.connected.has(b) === true,
    delivered: gossip.delivered,
    setLink: (a, b, isUp) => {
      links.set(a, b, isUp)
      links.set(b, a, isUp)
      if (isUp) connectPeers(a, b)
      else disconnectPeers(a, b)
    },
    setOneWay: (from, to, isUp) => {
      links.set(from, to, isUp)
      if (!isUp) void breakWhenStalled(from, to)
      else if (isWhole(from, to)) connectPeers(from, to)
    },
    inject: (from, to, topic, data) => {
      const [one, two] = [members.get(from), members.get(to)]
      if (!one?.connected.has(to) || two === undefined || !isAlive(two)) return
      gossip.take(two, { topic, from, data })
    },
    crash: (peer) => {
      const member = members.get(peer)
      if (member === undefined) return
      member.isRunning = false
      members.delete(peer)
      for (const other of members.values()) disconnect(member, other)
    },
    network: (self, neighbours) => {
      const member = createSimMember(self, neighbours)
      members.set(self, member)
      return {
        start: async () => {
          member.isRunning = true
          for (const other of members.values()) if (other !== member) void connect(member, other)
        },
        addresses: () => [`/memory/${self}`],
        join: (topic, validate) => void member.topics.set(topic, validate),
        publish: async (topic, data) => {
          if (isAlive(member)) gossip.spread(member, topic, data)
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
