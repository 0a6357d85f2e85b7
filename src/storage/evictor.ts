/**
 * The evictor keeps what the topology does not make this node hold within its budget: what was pulled longest ago goes first,
 * image by image, through the collector. Pins stay, and what is used at the moment.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { StorageBudget } from '../topology/topology.ts'
import { isAdoptionOpen } from './adoption.ts'
import type { BlobStore } from './blob-store.ts'
import type { Collector } from './collector.ts'
import type { ContentRows } from './content-rows.ts'
import {
  type Candidate,
  type CandidatesDeps,
  findCandidates,
  imageOf,
  partsOf,
  usedAtMs,
} from './eviction-candidates.ts'
import type { IndexDb } from './index-db.ts'
import { ENTRY, pairKey } from './index-tables.ts'
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

export interface EvictorDeps extends CandidatesDeps {
  readonly index: IndexDb
  readonly blobs: Pick<BlobStore, 'list' | 'stat' | 'written'>
  readonly ledger: Pick<Ledger, 'scan' | 'hold'>
  readonly rows: Pick<ContentRows, 'removeTag'>
  readonly collector: Pick<Collector, 'collect'>
  readonly lastPulled: Pick<LastPulled, 'atMs' | 'load' | 'save'>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** Part of the budget that is used after an eviction: so the next one does not come with the next image. */
const AIM = 0.9
/** Between two measurements of the disk, milliseconds: what other programs did there is seen then. */
const MEASURE_MS = 3_600_000
/** After an eviction that could not free enough, milliseconds: each looks at everything that is here. */
const REST_MS = 300_000

export function createEvictor(deps: EvictorDeps, budget: StorageBudget): Evictor {
  const { index, blobs, ledger, rows, lastPulled, clock, logger } = deps
  const stop = new AbortController()
  let usedBytes = 0
  /** Since the start: what came while the disk was measured. */
  let cameBytes = 0
  let isOverfull = false
  /** When an eviction last was of no use; undefined: the last one was. */
  let restsSinceMs: number | undefined
  let running: Promise<void> | undefined
  const came = ({ sizeBytes }: { readonly sizeBytes: number }) => {
    usedBytes += sizeBytes
    cameBytes += sizeBytes
  }
  const unsubscribe = [
    deps.events.on('blob-fetched', came),
    deps.events.on('blob-uploaded', came),
    deps.events.on('content-collected', ({ freedBytes }) => {
      usedBytes -= freedBytes
    }),
    // An image is whole: before that its blobs are a job's.
    deps.events.on('visible-changed', () => lookWhetherFull()),
  ]

  async function measure(): Promise<void> {
    let sum = 0
    const before = cameBytes
    for await (const digest of blobs.list()) {
      stop.signal.throwIfAborted()
      sum += (await blobs.stat(digest))?.size ?? 0
    }
    // Some of it may count twice, until the next time.
    usedBytes = sum + cameBytes - before
  }

  function lookWhetherFull(): void {
    if (usedBytes <= budget.maxBytes) isOverfull = false
    else if (budget.evict === 'none') tellOverfull()
    else if (!isResting()) {
      running ??= evict()
        .catch((err: unknown) => {
          restsSinceMs = clock.now()
          if (!stop.signal.aborted) logger.warn({ reason: messageOf(err) }, 'nothing was evicted')
        })
        .finally(() => {
          running = undefined
        })
    }
  }

  /** Also a clock that was put back does not make it long. */
  const isResting = () =>
    restsSinceMs !== undefined && Math.abs(clock.now() - restsSinceMs) < REST_MS

  async function evict(): Promise<void> {
    // The collector takes nothing yet, so nothing is let go of.
    if (isAdoptionOpen(index)) return
    const aim = budget.maxBytes * AIM
    // What was counted since the last time is what came: repairs and other programs are seen only here.
    await measure()
    const candidates =
      usedBytes > budget.maxBytes ? await findCandidates(deps, budget, stop.signal) : []
    while (usedBytes > aim && candidates.length > 0) {
      stop.signal.throwIfAborted()
      let least = usedBytes - aim
      const evicted = new Map<RepositoryName, Set<Digest>>()
      const names: string[] = []
      for (let last: string | undefined; ; ) {
        const [next] = candidates
        // All tags of an image, or it stays.
        if (next === undefined || (least <= 0 && imageOf(next) !== last)) break
        candidates.shift()
        last = imageOf(next)
        // Somebody pulled it a moment ago.
        if ((await usedAtMs(deps, next)) > next.pulledAtMs) continue
        // Without what it shares with others: then another round follows.
        least -= await letGo(next, evicted)
        const { repository, key } = next
        names.push(key === undefined ? imageOf(next) : `${repository}:${key.reference}`)
      }
      const { freedBytes } = await deps.collector.collect({ evicted })
      logger.info({ images: names.slice(0, 20), count: names.length, freedBytes }, 'evicted')
      await measure()
    }
    await lastPulled.save()
    isOverfull = isOverfull && usedBytes > budget.maxBytes
    restsSinceMs = usedBytes > budget.maxBytes ? clock.now() : undefined
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

  /** The node shows it no more. @returns bytes of all of it, of which others may use a part */
  async function letGo(
    { repository, digest, key }: Candidate,
    into: Map<RepositoryName, Set<Digest>>,
  ): Promise<number> {
    if (key !== undefined) await hide(key, digest)
    const parts = partsOf(index, repository, digest)
    const known = into.get(repository) ?? new Set()
    into.set(repository, known)
    let bytes = 0
    for (const [part, size] of parts) {
      if (!known.has(part)) bytes += size
      known.add(part)
    }
    return bytes
  }

  function hide(key: RecordKey, digest: Digest): Promise<void> {
    const { repository, reference } = key
    return index.transact((tx) => {
      const row = tx.get(ENTRY, pairKey(repository, reference))
      if (row === undefined || historyOf(row).length === 0 || row.held?.digest !== digest) return
      ledger.hold(tx, key, undefined)
      if (!isDigest(reference)) rows.removeTag(tx, repository, reference)
      tx.afterCommit(() => deps.events.emit({ kind: 'visible-changed', key }))
    })
  }

  async function measureInTime(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await lastPulled.load()
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
