/**
 * What a world has seen: every record that was ever durable anywhere, what each node is known to know, who told whom. It
 * hears of it by the events of the nodes, so that a node which forgets is found out.
 */
import type { MeshEvent } from '../../src/events/mesh-event.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { type History, losersOf, merge, visibleOf } from '../../src/record/history.ts'
import type { PeerId } from '../../src/record/peer-id.ts'
import { keyText, type RecordKey, type SignedRecord } from '../../src/record/tag-record.ts'
import { msOfTime } from '../../src/record/time.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { mayWrite } from '../../src/topology/origins.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'

/** What one node is known to know and to show. */
export interface NodeMemory {
  /** By key: as durable as its disk. */
  readonly histories: Map<string, History>
  /** At the last look: what it served for each tag, and what it knew. */
  shown: Map<string, Digest>
  knownAtLook: Map<string, History>
  /** Served or knows something else than at the last look. */
  isChanged: boolean
  /** Its index was set back to a time when the disk had what it has not now: it may show halves until it is mended. */
  isLacking: boolean
  /** Times that its disk lost something. */
  losses: number
  /** When its clock was last moved, and what it showed before: a record may have been signed then and stored now. */
  clockMoved: { readonly atMs: number; readonly wasMs: number }
  /** Newest time of a record that it stored, milliseconds since the Unix epoch. */
  newestMs: number
}

export interface Memory {
  /** By key: every record that was durable at any node at any time. */
  readonly records: ReadonlyMap<string, ReadonlyMap<string, SignedRecord>>
  readonly violations: string[]
  /** Ids of records whose push or delete was answered. */
  readonly acknowledged: Set<string>
  /** Announcements; and those of a record by a node on a topic where it had announced it before, its disk being whole. */
  readonly spreads: { made: number; again: number }
  of(node: SimNode): NodeMemory
  hear(node: SimNode, event: MeshEvent): void
  spread(from: PeerId, id: string): void
  /** A record may have become durable without anybody hearing of it. */
  reread(node: SimNode): Promise<void>
  /** Its disk lost something: it knows what it knows now. `isLacking`: its index says what the disk has not. */
  forget(node: SimNode, isLacking: boolean): void
  /** Newest time of any record, milliseconds since the Unix epoch. */
  newestMs(): number
}

/** More than any world has. */
const ALL = 100_000

/** A write of the slowest disk takes less, simulated milliseconds. */
const WRITE_MS = 1_000

/** `nowMs` is the true time. */
export function createMemory(topology: Topology, nowMs: () => number): Memory {
  const nodes = new Map<NodeName, NodeMemory>()
  const records = new Map<string, Map<string, SignedRecord>>()
  let newestMs = 0
  const told = new Set<string>()
  /** By node: times that its disk lost something; what it learns then is news once more. */
  const lost = new Map<PeerId, number>()

  function learn(node: SimNode, signed: SignedRecord): void {
    const mine = memory.of(node)
    const text = keyText(signed.record)
    const timeMs = msOfTime(signed.record.time)
    if (signed.record.realm !== topology.realm) {
      memory.violations.push(`${node.name} stored a record of realm ${signed.record.realm}`)
    }
    if (!mayWrite(topology, signed.writer, signed.record.repository, timeMs)) {
      memory.violations.push(
        `${node.name} stored a record of ${text.replace('\0', ':')} by ${signed.writer}, who is no writer`,
      )
    }
    newestMs = Math.max(newestMs, timeMs)
    mine.newestMs = Math.max(mine.newestMs, timeMs)
    const ofKey = records.get(text) ?? new Map<string, SignedRecord>()
    records.set(text, ofKey.set(signed.id, signed))
    const { histories } = mine
    const merged = merge(histories.get(text) ?? [], signed)
    if (merged.kind === 'changed') histories.set(text, merged.history)
  }

  /** What a writer has just signed: over all that it knew, and in a time that it had a reason for. */
  function checkSigned(node: SimNode, { record, writer }: SignedRecord, wallMs: number): void {
    const mine = memory.of(node)
    const where = `${record.repository}:${record.reference} at ${node.name}`
    if (writer !== node.identity.peerId)
      memory.violations.push(`${where}: pushed, signed by another`)
    const known = mine.histories.get(keyText(record)) ?? []
    if (known.some((one) => (record.seen.get(one.writer) ?? 0) < one.record.time))
      memory.violations.push(`${where}: signed without having seen what it knew`)
    const { atMs, wasMs } = mine.clockMoved
    const latestMs = nowMs() - atMs < WRITE_MS ? Math.max(wallMs, wasMs) : wallMs
    // A batch that failed has used up its time: nobody has heard of it.
    if (msOfTime(record.time) > Math.max(latestMs, mine.newestMs, node.disk.failedMs) + 1)
      memory.violations.push(`${where}: signed in a future that it had only heard of`)
  }

  const memory: Memory = {
    records,
    violations: [],
    acknowledged: new Set(),
    spreads: { made: 0, again: 0 },
    newestMs: () => newestMs,
    of: ({ name }) => {
      const known = nodes.get(name) ?? {
        histories: new Map(),
        shown: new Map(),
        knownAtLook: new Map(),
        isChanged: true,
        isLacking: false,
        losses: 0,
        clockMoved: { atMs: 0, wasMs: 0 },
        newestMs: 0,
      }
      nodes.set(name, known)
      return known
    },
    hear: (node, event) => {
      if (event.kind === 'visible-changed') memory.of(node).isChanged = true
      if (event.kind === 'feed-difference')
        memory.violations.push(`${node.name} missed records of ${event.node} until an audit`)
      if (event.kind !== 'record-stored' && event.kind !== 'record-parked') return
      const { signed, arrival } = event
      if (event.kind === 'record-stored') {
        if (arrival.via === 'push') checkSigned(node, signed, nowMs() + node.clockOffsetMs)
        learn(node, signed)
      }
      memory.of(node).isChanged = true
    },
    spread: (from, id) => {
      const once = `${from} ${lost.get(from) ?? 0} ${id}`
      memory.spreads.made += 1
      if (told.has(once)) memory.spreads.again += 1
      told.add(once)
    },
    reread: async (node) => {
      if (node.core === undefined) return
      const { entries } = await node.core.ledger.page(0, ALL)
      for (const { history } of entries) for (const signed of history) learn(node, signed)
      memory.of(node).isChanged = true
    },
    forget: (node, isLacking) => {
      const { losses } = memory.of(node)
      lost.set(node.identity.peerId, losses + 1)
      nodes.delete(node.name)
      Object.assign(memory.of(node), { losses: losses + 1, isLacking })
      node.fetched.clear()
    },
  }
  return memory
}

/** Whether `history` has nothing to learn from a record. */
export function knows(history: History, signed: SignedRecord): boolean {
  return merge(history, signed).kind === 'known'
}

/** Whether a node that knew `history` may begin to show the digest: some put says it that is not replaced there. */
export function mayShow(
  { records }: Memory,
  history: History,
  key: RecordKey,
  digest: Digest,
): boolean {
  const standing = new Set([visibleOf(history), ...losersOf(history)].map((one) => one?.id))
  return [...(records.get(keyText(key))?.values() ?? [])].some(
    (signed) =>
      signed.record.kind === 'put' &&
      signed.record.digest === digest &&
      (standing.has(signed.id) || !knows(history, signed)),
  )
}
