/** What a node does about what it wants, put together: the jobs, whom they ask for bytes, and the workers. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { Holders } from '../peers/holders.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import { createSourceRanking } from '../peers/source-ranking.ts'
import { createTransferMeter } from '../peers/transfer-meter.ts'
import { createTransfers, type Transfers } from '../peers/transfers.ts'
import type { Planner } from '../planner/planner.ts'
import type { Job } from '../queue/job.ts'
import { createJobQueue, type JobQueue } from '../queue/job-queue.ts'
import { createJobStore } from '../queue/job-store.ts'
import { visibleOf } from '../record/history.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { createScrub } from '../storage/scrub.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Attempt } from '../transfer/attempts.ts'
import { createFetcher } from '../transfer/fetcher.ts'
import { createMeteredSource } from '../transfer/metered-source.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import { createWatchedSource } from '../transfer/watched-source.ts'
import { createDispatcher, type Dispatcher } from '../worker/dispatcher.ts'
import { createRepairer } from '../worker/repairer.ts'
import { createWorkerPool } from '../worker/worker-pool.ts'
import type { ContentStore } from './content-store.ts'
import { createScan, type Scan } from './scan.ts'

export interface WorkPartsDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly store: ContentStore
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly planner: Planner
  readonly holders: Holders
  readonly neighbours: Neighbours
  readonly source: RegistrySource
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface WorkParts extends AsyncDisposable {
  readonly queue: JobQueue
  readonly dispatcher: Dispatcher
  readonly transfers: Transfers
  readonly scan: Scan
  /** Jobs and repairs are carried out, from now on. */
  start(): void
  /** Looks for blobs that the index names and the disk lacks. */
  startScrub(): void
}

export function createWorkParts(
  deps: WorkPartsDeps,
  { workers }: { readonly workers: number },
): WorkParts {
  const { topology, self, store, index, blobs, planner, holders, neighbours, events } = deps
  const { clock, random } = deps
  const { ledger, damage, leases, content, keeper } = store
  const building = new AsyncDisposableStack()

  const transfers = createTransfers({ clock })
  const meter = createTransferMeter({ clock })
  const ranking = createSourceRanking({ topology, self, neighbours, holders, clock, meter })
  const sources = {
    rank: ranking.rank,
    failed: ({ node, repository, digest, outcome }: Attempt) =>
      ranking.failed(node, repository, digest, outcome === 'absent'),
  }
  const source = createWatchedSource(createMeteredSource(deps.source, meter), transfers)
  const fetcher = createFetcher({ source, blobs, sources, events })

  const jobStore = createJobStore({ index })
  const queue = building.use(
    createJobQueue({
      store: jobStore,
      events,
      clock,
      random,
      logger: deps.logger.child({ room: 'queue' }),
      hasHolder: (repository, digest) => holders.of(repository, digest).size > 0,
    }),
  )
  const logger = deps.logger.child({ room: 'worker' })
  const repairer = building.use(
    createRepairer({ damage, index, blobs, fetcher, events, clock, random, logger }),
  )
  const scrub = building.use(createScrub({ index, blobs, damage, clock, logger }))
  const dispatcher = building.use(
    createDispatcher({ planner, content: keeper, queue, ledger, logger }),
  )
  const isWanted = ({ repository, digest, references }: Job) =>
    [...references].some(
      (reference) =>
        dispatcher.isAsked({ repository, reference }) ||
        visibleOf(ledger.entry({ repository, reference })?.history ?? [])?.record.digest === digest,
    )
  const { consider } = dispatcher
  const work = { fetcher, blobs, leases, damage, content, queue, clock, logger }
  const pool = building.use(createWorkerPool({ ...work, consider, isWanted }, { workers }))
  const scan = createScan({ dispatcher, store: jobStore, queue, planner, logger })
  // Keys whose turn came while nothing could be written, and what a failed batch left behind after all.
  building.defer(
    index.onReopened(() => {
      scan.run()
      queue.wakeAll()
    }),
  )
  return {
    queue,
    dispatcher,
    transfers,
    scan,
    start: () => {
      pool.start()
      repairer.start()
    },
    startScrub: scrub.start,
    [Symbol.asyncDispose]: () => building.disposeAsync(),
  }
}
