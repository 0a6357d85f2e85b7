/**
 * The evictor keeps what the topology does not make this node hold within its budget: what was pulled longest ago goes first,
 * image by image, through the collector. Pins stay, and what is used at the moment.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { PutRecord, RecordKey } from '../record/tag-record.ts'
import type { StorageBudget } from '../topology/topology.ts'
import type { BlobStore } from './blob-store.ts'
import type { Collector } from './collector.ts'
import type { ContentRows } from './content-rows.ts'
import type { IndexDb, Reads } from './index-db.ts'
import { ENTRY, MANIFEST, pairKey } from './index-tables.ts'
import type { LastPulled } from './last-pulled.ts'
import { historyOf, type Ledger } from './ledger.ts'

export interface Evictor extends AsyncDisposable {
  start(): void
  usage(): StorageUsage
  /** Resolves when no eviction is under way. */
  idle(): Promise<void>
}

export interface StorageUsage {
  /** Of files under a digest. */
  readonly usedBytes: number
  readonly maxBytes: number
  /** Nothing more can go, and it is still too much: the topology asks for more than the budget, or pins do. */
  readonly isOverfull: boolean
}

export interface EvictorDeps {
  readonly index: IndexDb
  readonly blobs: Pick<BlobStore, 'list' | 'stat'>
  readonly ledger: Pick<Ledger, 'scan' | 'hold'>
  readonly rows: Pick<ContentRows, 'removeTag'>
  readonly collector: Pick<Collector, 'collect'>
  readonly lastPulled: Pick<LastPulled, 'atMs' | 'save'>
  /** Whether the topology would have nothing against it: no policy holds it here, and the node may not write it. */
  readonly mayGo: (key: RecordKey, record: PutRecord) => Promise<boolean>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** Part of the budget that is used after an eviction: so the next one does not come with the next image. */
const AIM = 0.9
/** Entries read at a time. */
const PAGE = 256
/** Index in index: deeper documents are not images. */
const MAX_DEPTH = 4
/** Between two measurements of the disk, milliseconds: what other programs did there is seen then. */
const MEASURE_MS = 3_600_000

interface Candidate {
  readonly key: RecordKey
  readonly digest: Digest
  readonly pulledAtMs: number
}

export function createEvictor(deps: EvictorDeps, budget: StorageBudget): Evictor {
  const { index, blobs, ledger, rows, lastPulled, clock, logger } = deps
  const stop = new AbortController()
  let usedBytes = 0
  let isOverfull = false
  let running: Promise<void> | undefined
  const unsubscribe = [
    deps.events.on('blob-fetched', ({ sizeBytes }) => {
      usedBytes += sizeBytes
    }),
    deps.events.on('content-collected', ({ freedBytes }) => {
      usedBytes -= freedBytes
    }),
    // An image is whole: before that its blobs are a job's.
    deps.events.on('visible-changed', () => lookWhetherFull()),
  ]

  async function measure(): Promise<void> {
    let sum = 0
    for await (const digest of blobs.list()) {
      stop.signal.throwIfAborted()
      sum += (await blobs.stat(digest))?.size ?? 0
    }
    usedBytes = sum
  }

  function lookWhetherFull(): void {
    if (usedBytes <= budget.maxBytes) isOverfull = false
    else if (budget.evict === 'lru') {
      running ??= evict()
        .catch((err: unknown) => {
          if (!stop.signal.aborted) logger.warn({ reason: messageOf(err) }, 'nothing was evicted')
        })
        .finally(() => {
          running = undefined
        })
    } else tellOverfull()
  }

  async function evict(): Promise<void> {
    const candidates = await findCandidates()
    while (usedBytes > budget.maxBytes * AIM && candidates.length > 0) {
      stop.signal.throwIfAborted()
      let least = usedBytes - budget.maxBytes * AIM
      const evicted = new Set<Digest>()
      const names: string[] = []
      while (least > 0 && candidates.length > 0) {
        const next = candidates.shift()
        if (next === undefined) break
        // Without what it shares with others: then another round follows.
        least -= await letGo(next, evicted)
        names.push(`${next.key.repository}:${next.key.reference}`)
      }
      const { freedBytes } = await deps.collector.collect({ evicted })
      logger.info({ images: names.slice(0, 20), count: names.length, freedBytes }, 'evicted')
    }
    await lastPulled.save()
    if (usedBytes > budget.maxBytes) tellOverfull()
  }

  function tellOverfull(): void {
    if (isOverfull) return
    isOverfull = true
    const { maxBytes } = budget
    logger.warn(
      { usedBytes, maxBytes },
      'more content than storage.max of this node, and none of it may go: raise max, pin less, or let policies bring less',
    )
  }

  async function findCandidates(): Promise<Candidate[]> {
    const found: Candidate[] = []
    for (let after: string | undefined = ''; after !== undefined; ) {
      stop.signal.throwIfAborted()
      const page: Awaited<ReturnType<Ledger['scan']>> = await ledger.scan({ after, limit: PAGE })
      for (const { key, history, held } of page.entries) {
        const record = visibleOf(history)?.record
        if (record === undefined) continue
        // What an eviction that was cut off has let go of already is still there.
        const isHere = index.get(MANIFEST, pairKey(key.repository, record.digest)) !== undefined
        const digest = held?.digest ?? (isHere ? record.digest : undefined)
        const isPinned = !isDigest(key.reference) && budget.isPinned(key.repository, key.reference)
        if (digest === undefined || isPinned || !(await deps.mayGo(key, record))) continue
        found.push({ key, digest, pulledAtMs: lastPulled.atMs(key.repository, digest) })
      }
      after = page.last
    }
    return found.sort((a, b) => a.pulledAtMs - b.pulledAtMs)
  }

  /** The node shows it no more. @returns bytes of all of it, of which others may use a part */
  async function letGo({ key, digest }: Candidate, into: Set<Digest>): Promise<number> {
    const { repository, reference } = key
    await index.transact((tx) => {
      const row = tx.get(ENTRY, pairKey(repository, reference))
      if (visibleOf(historyOf(row)) === undefined || row?.held?.digest !== digest) return
      ledger.hold(tx, key, undefined)
      if (!isDigest(reference)) rows.removeTag(tx, repository, reference)
      tx.afterCommit(() => deps.events.emit({ kind: 'visible-changed', key }))
    })
    const parts = partsOf(index, key, digest)
    for (const part of parts.keys()) into.add(part)
    return [...parts.values()].reduce((sum, size) => sum + size, 0)
  }

  async function measureInTime(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await measure()
        lookWhetherFull()
        await lastPulled.save()
      } catch (err) {
        if (!stop.signal.aborted) logger.warn({ reason: messageOf(err) }, 'disk not measured')
      }
      await clock.sleep(MEASURE_MS, { signal: stop.signal }).catch(() => {})
    }
  }

  let measuring: Promise<void> | undefined
  return {
    start: () => {
      measuring = measureInTime()
    },
    usage: () => ({ usedBytes, maxBytes: budget.maxBytes, isOverfull }),
    idle: async () => {
      while (running !== undefined) await running
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort(new DOMException('node is stopping', 'AbortError'))
      for (const off of unsubscribe) off()
      await Promise.all([measuring, running])
      await lastPulled.save().catch(() => {})
    },
  }
}

/** Its manifests and blobs that are here, with their bytes. */
function partsOf(
  reads: Reads,
  { repository }: RecordKey,
  digest: Digest,
  depth = 0,
): Map<Digest, number> {
  const parts = new Map<Digest, number>()
  const row = reads.get(MANIFEST, pairKey(repository, digest))
  if (row === undefined || depth > MAX_DEPTH) return parts
  parts.set(digest, row.size)
  for (const blob of row.blobs) parts.set(blob.digest, blob.size)
  for (const child of row.manifests) {
    for (const [part, size] of partsOf(reads, { repository, reference: child }, child, depth + 1))
      parts.set(part, size)
  }
  return parts
}
