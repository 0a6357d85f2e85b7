/** Counts what goes over links: messages and bytes by what they are for, content, and which link carries most. */
import { AUDIT_PROTOCOL } from '../gossip/audit-codec.ts'
import { FEED_PROTOCOL } from '../gossip/feed-codec.ts'
import { HELLO_PROTOCOL } from '../gossip/hello-codec.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { NodeName } from '../topology/topology.ts'
import type { SimTraffic } from './sim-channel.ts'

export const TRAFFIC_KINDS = ['announcements', 'feed', 'hello', 'audit', 'content'] as const
export type TrafficKind = (typeof TRAFFIC_KINDS)[number]

/** Payloads, without the frames of what carries them. `content`: requests that were answered, and bytes of manifests and blobs. */
export interface Count {
  readonly messages: number
  readonly bytes: number
}

export type Counts = Readonly<Record<TrafficKind, Count>>

/** One link, both ways; `a` sorts before `b`. */
export interface LinkCounts {
  readonly a: NodeName
  readonly b: NodeName
  readonly counts: Counts
}

export interface Meter {
  hear(traffic: SimTraffic): void
  /** So many bytes of content, in answer to one request. */
  content(from: NodeName, to: NodeName, bytes: number): void
  /** What was counted since the last time, link by link. */
  take(): readonly LinkCounts[]
}

type Writable = Record<TrafficKind, { messages: number; bytes: number }>

const KINDS: Readonly<Record<string, TrafficKind>> = {
  [FEED_PROTOCOL]: 'feed',
  [HELLO_PROTOCOL]: 'hello',
  [AUDIT_PROTOCOL]: 'audit',
}

export function createMeter(nameOf: (peer: PeerId) => NodeName): Meter {
  let links = new Map<string, { a: NodeName; b: NodeName; counts: Writable }>()

  function count(from: NodeName, to: NodeName, kind: TrafficKind, bytes: number): void {
    const [a, b] = from < to ? [from, to] : [to, from]
    const key = `${a} ${b}`
    const link = links.get(key) ?? { a, b, counts: noCounts() }
    links.set(key, link)
    link.counts[kind].messages += 1
    link.counts[kind].bytes += bytes
  }

  return {
    hear: ({ kind, from, to, on, bytes }) =>
      count(
        nameOf(from),
        nameOf(to),
        kind === 'gossip' ? 'announcements' : (KINDS[on] ?? 'hello'),
        bytes,
      ),
    content: (from, to, bytes) => count(from, to, 'content', bytes),
    take: () => {
      const taken = [...links.values()]
      links = new Map()
      return taken.sort((x, y) => (`${x.a} ${x.b}` < `${y.a} ${y.b}` ? -1 : 1))
    },
  }
}

export function sumOf(links: readonly LinkCounts[]): Counts {
  const sum = noCounts()
  for (const { counts } of links) {
    for (const kind of TRAFFIC_KINDS) {
      sum[kind].messages += counts[kind].messages
      sum[kind].bytes += counts[kind].bytes
    }
  }
  return sum
}

/** All kinds together. */
export function totalOf(counts: Counts): Count {
  const total = { messages: 0, bytes: 0 }
  for (const kind of TRAFFIC_KINDS) {
    total.messages += counts[kind].messages
    total.bytes += counts[kind].bytes
  }
  return total
}

/** The link with most bytes. */
export function busiestOf(links: readonly LinkCounts[]): LinkCounts | undefined {
  const bytesOf = ({ counts }: LinkCounts) => totalOf(counts).bytes
  return links.reduce<LinkCounts | undefined>(
    (best, link) => (best === undefined || bytesOf(link) > bytesOf(best) ? link : best),
    undefined,
  )
}

function noCounts(): Writable {
  const none = () => ({ messages: 0, bytes: 0 })
  return { announcements: none(), feed: none(), hello: none(), audit: none(), content: none() }
}
