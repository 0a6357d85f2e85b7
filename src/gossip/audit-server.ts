/**
 * Answers audits: sums of what a neighbour should have of this node, bucket by bucket; the hashes of a bucket; and the
 * entries that the neighbour turns out to lack. As in the feed, the sender decides what a neighbour may see.
 */
import type { PeerId } from '../record/peer-id.ts'
import type { IndexDb } from '../storage/index-db.ts'
import type { Ledger } from '../storage/ledger.ts'
import { type Filter, flow, type Naming } from '../topology/flow.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import {
  AUDIT_PROTOCOL,
  type AuditAnswer,
  type AuditRequest,
  decodeAuditRequest,
  encodeAuditAnswer,
  HASH_BYTES,
  hashesOf,
  MAX_HASHES,
} from './audit-codec.ts'
import { createSum, type ScanRange, scanEntries } from './audit-scan.ts'
import type { Network } from './network.ts'

/** Bytes of keys and sums, or of records, in one answer: half a frame. */
const MAX_ANSWER_BYTES = 512 * 1024
/** A bucket of so many entries is closed whatever comes. */
const MAX_BUCKET = 4_096
/** Summaries kept: neighbours that are let see the same, and have read to the end, get the same one. */
const MAX_SUMMARIES = 8

export interface AuditServerDeps {
  readonly network: Pick<Network, 'handle'>
  readonly topology: Topology
  readonly self: NodeName
  readonly index: Pick<IndexDb, 'page'>
  readonly ledger: Pick<Ledger, 'head' | 'resume'>
  readonly naming: Naming
}

interface Bucket {
  readonly until?: string
  readonly sum: Uint8Array
}

export function createAuditServer(deps: AuditServerDeps): void {
  const { network, topology, self, ledger } = deps
  /** Of feeds that stand still. */
  const summaries = new Map<string, readonly Bucket[]>()
  /** One scan at a time, whoever asks: it is work in the background. */
  let scanning: Promise<unknown> = Promise.resolve()

  async function answer(
    request: AuditRequest,
    peer: PeerId,
    signal: AbortSignal,
  ): Promise<AuditAnswer> {
    const reader = nodeOfPeer(topology, peer)
    if (reader === undefined)
      throw new Error('audit asked for by a peer that is not in the topology')
    const filter = flow(topology, self, reader)
    const { position, after } = request
    if (filter.hash !== position.filter || ledger.resume(position) !== position.number) {
      return { version: 1, kind: 'unknown-position' }
    }
    const range = { after, filter, through: position.number }
    const scan = scanning.then(() => {
      signal.throwIfAborted()
      return answerFrom(request, range, signal)
    })
    scanning = scan.catch(() => {})
    return scan
  }

  async function answerFrom(
    request: AuditRequest,
    range: ScanRange & { readonly filter: Filter },
    signal: AbortSignal,
  ): Promise<AuditAnswer> {
    switch (request.kind) {
      case 'summary':
        return { version: 1, kind: 'summary', buckets: [...(await summaryOf(range, signal))] }
      case 'hashes':
        return hashesIn({ ...range, until: request.until }, signal)
      case 'entries': {
        const asked = Buffer.from(request.hashes)
        return entriesIn({ ...range, until: request.until }, asked, signal)
      }
    }
  }

  async function summaryOf(
    range: ScanRange & { readonly filter: Filter },
    signal: AbortSignal,
  ): Promise<readonly Bucket[]> {
    const head = ledger.head()
    const name = `${range.filter.hash} ${range.through} ${head} ${range.after}`
    const known = summaries.get(name)
    if (known !== undefined) return known
    const buckets = await sumUp(range, signal)
    // What changed meanwhile may be in some of them and not in others: good for one answer, not for a later one.
    if (ledger.head() === head) {
      summaries.set(name, buckets)
      const [oldest] = summaries.keys()
      if (summaries.size > MAX_SUMMARIES && oldest !== undefined) summaries.delete(oldest)
    }
    return buckets
  }

  async function sumUp(range: ScanRange, signal: AbortSignal): Promise<readonly Bucket[]> {
    const buckets: Bucket[] = []
    let bytes = 0
    let sum = createSum()
    let count = 0
    for await (const { key, hash } of scanEntries(deps, range)) {
      signal.throwIfAborted()
      sum.add(hash)
      count += 1
      // The entries themselves say where a bucket ends, so that one more or less moves no other bucket: 512 on average.
      if ((hash.readUInt16LE(0) & 0x1ff) !== 0 && count < MAX_BUCKET) continue
      buckets.push({ until: key, sum: sum.bytes() })
      bytes += key.length + HASH_BYTES
      // The rest is asked for from here on.
      if (bytes > MAX_ANSWER_BYTES) return buckets
      sum = createSum()
      count = 0
    }
    return [...buckets, { sum: sum.bytes() }]
  }

  async function hashesIn(range: ScanRange, signal: AbortSignal): Promise<AuditAnswer> {
    const hashes: Buffer[] = []
    for await (const { hash } of scanEntries(deps, range)) {
      signal.throwIfAborted()
      hashes.push(hash)
      // The next audit finds the others.
      if (hashes.length >= MAX_HASHES) break
    }
    return { version: 1, kind: 'hashes', hashes: Buffer.concat(hashes) }
  }

  async function entriesIn(
    range: ScanRange,
    asked: Buffer,
    signal: AbortSignal,
  ): Promise<AuditAnswer> {
    const wanted = new Set(hashesOf(asked))
    const entries: Uint8Array[][] = []
    let bytes = 0
    for await (const { key, row, hash } of scanEntries(deps, range)) {
      signal.throwIfAborted()
      if (!wanted.has(hash.toString('latin1'))) continue
      entries.push([...row.records])
      for (const record of row.records) bytes += record.length
      if (bytes > MAX_ANSWER_BYTES) return { version: 1, kind: 'entries', entries, through: key }
    }
    return { version: 1, kind: 'entries', entries }
  }

  network.handle(AUDIT_PROTOCOL, async (frame, { peer, signal }) =>
    encodeAuditAnswer(await answer(decodeAuditRequest(frame), peer, signal)),
  )
}
