/**
 * The collector: takes what nothing needs any more, while the node serves. Rows go first, in one durable step each, then
 * files: a crash between the two leaves a file that the next run finds. docs/decisions/0020 says what keeps content.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { CollectedKind } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { RepositoryName } from '../oci/name.ts'
import { isAdoptionOpen } from './adoption.ts'
import type { BlobLeases } from './blob-leases.ts'
import type { BlobStore } from './blob-store.ts'
import { type CollectFilesDeps, collectFiles, collectLinks } from './collect-blobs.ts'
import { collectManifests, type Rights } from './collect-manifests.ts'
import { collectStages, collectUploads } from './collect-stages.ts'
import type { CollectedItem, Graces } from './collected-item.ts'
import { beginRun, type CollectorRun, type Evicted } from './collector-run.ts'
import type { ContentRows } from './content-rows.ts'
import type { IndexDb } from './index-db.ts'
import { BLOB, endOf, MANIFEST } from './index-tables.ts'
import type { Ledger } from './ledger.ts'
import type { UploadSessions } from './upload-sessions.ts'

export interface Collector extends AsyncDisposable {
  /** What is unused, with the reason, and when it goes. Changes nothing. */
  plan(): AsyncGenerator<CollectedItem>
  /** Takes what is due. One run at a time: a second one begins when the first has ended. */
  collect(options?: CollectOptions): Promise<Collection>
  /** Every hour from now on, until it is disposed of. */
  start(): void
}

export interface CollectOptions {
  readonly onItem?: ((item: CollectedItem) => void) | undefined
  /** Manifests and blobs that go at once, whatever the graces say, where nothing else uses them. */
  readonly evicted?: Evicted | undefined
}

export interface Collection {
  readonly counts: Readonly<Record<CollectedKind, number>>
  /** Bytes of files: links and manifests are rows of the index, their files are counted as blobs. */
  readonly freedBytes: number
}

export interface CollectorDeps extends Pick<CollectFilesDeps, 'oldestJobMs'> {
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly rows: ContentRows
  readonly uploads: Pick<UploadSessions, 'list' | 'expire'>
  readonly leases: BlobLeases
  readonly rights: Rights | undefined
  /** Before what frees space: the disk may be full. */
  readonly makeRoom?: (() => Promise<void>) | undefined
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Milliseconds between two runs, and before the first: graces are days, and a client that was told before a restart what is
 * here has an hour to finish its push.
 */
const EVERY_MS = 3_600_000

export function createCollector(deps: CollectorDeps, graces: Graces): Collector {
  const { index, events, clock, logger } = deps
  const stop = new AbortController()
  let last: Promise<unknown> = Promise.resolve()

  function begin(isDryRun: boolean, evicted?: Evicted): CollectorRun {
    const run = { graces, isDryRun, now: clock.now(), signal: stop.signal }
    return beginRun(deps, { ...run, evicted })
  }

  async function* look(run: CollectorRun): AsyncGenerator<CollectedItem> {
    refuseWhileAdopting(index)
    for await (const repository of repositoriesIn(index)) {
      yield* collectManifests(deps, run, repository)
      yield* collectLinks(deps, run, repository)
    }
    yield* collectFiles(deps, run)
    yield* collectUploads(deps, run)
    yield* collectStages(deps, run)
  }

  async function collect({ onItem, evicted }: CollectOptions): Promise<Collection> {
    await deps.makeRoom?.()
    using run = begin(false, evicted)
    const collection = emptyCollection()
    for await (const item of look(run)) {
      onItem?.(item)
      count(collection, item)
    }
    const { counts, freedBytes } = collection
    if (Object.values(counts).some((number) => number > 0)) {
      logger.info({ counts, freedBytes, tookMs: clock.now() - run.now }, 'unused content collected')
      events.emit({ kind: 'content-collected', counts, freedBytes })
    }
    return collection
  }

  async function runInTime(): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(EVERY_MS, { signal: stop.signal }).catch(() => {})
      if (stop.signal.aborted) return
      await enqueue(() => collect({})).catch((err: unknown) => {
        if (!stop.signal.aborted) logger.warn({ err }, 'unused content not collected')
      })
    }
  }

  function enqueue<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    plan: async function* () {
      using run = begin(true)
      yield* look(run)
    },
    collect: (options = {}) => enqueue(() => collect(options)),
    start: () => void runInTime(),
    [Symbol.asyncDispose]: async () => {
      stop.abort(new DOMException('node is stopping', 'AbortError'))
      await last
    },
  }
}

/** A blob without a row may be one that is still to be adopted. @throws ADOPTION_OPEN */
function refuseWhileAdopting(index: IndexDb): void {
  if (!isAdoptionOpen(index)) return
  const message =
    'what is on disk is not adopted yet, so nobody knows what is unused: wait, or stop the node and run entrepot adopt --data DIR, which says what is in the way'
  throw new EntrepotError('ADOPTION_OPEN', message)
}

type Counted = { -readonly [K in keyof Collection]: Collection[K] } & {
  counts: Record<CollectedKind, number>
}

export function emptyCollection(): Counted {
  return { counts: { manifest: 0, link: 0, blob: 0, stage: 0, upload: 0 }, freedBytes: 0 }
}

export function count(collection: Counted, { kind, bytes, isDue }: CollectedItem): void {
  if (!isDue) return
  collection.counts[kind] += 1
  if (kind !== 'manifest' && kind !== 'link') collection.freedBytes += bytes
}

/** Every repository that has a row: names are the first parts of keys, so each is one step of a jump. */
async function* repositoriesIn(index: IndexDb): AsyncGenerator<RepositoryName> {
  let after = ''
  for (;;) {
    const [[manifest], [blob]] = await Promise.all([
      index.page(MANIFEST, { after, limit: 1 }),
      index.page(BLOB, { after, limit: 1 }),
    ])
    const [next] = [manifest, blob]
      .flatMap((row) => (row === undefined ? [] : [row[0].slice(0, row[0].indexOf('\0'))]))
      .sort()
    if (next === undefined) return
    yield next as RepositoryName
    after = endOf(next)
  }
}
