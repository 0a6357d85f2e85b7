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
import { createJobQueue } from '../queue/create-job-queue.ts'
import { jobId } from '../queue/job.ts'
import type { JobHistory } from '../queue/job-history.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { createJobStore } from '../queue/job-store.ts'
import { createPauses, type Pauses, pauseText } from '../queue/pauses.ts'
import type { Asked } from '../storage/asked.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { createScrub } from '../storage/scrub.ts'
import { limitsInto } from '../topology/rates.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type AskingSource, createAskingSource } from '../transfer/asking-source.ts'
import type { Attempt } from '../transfer/attempts.ts'
import { createFetcher, type Fetcher } from '../transfer/fetcher.ts'
import { createMeteredSource } from '../transfer/metered-source.ts'
import { createPacedSource } from '../transfer/paced-source.ts'
import { createPausedSource } from '../transfer/paused-source.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import { createWatchedSource } from '../transfer/watched-source.ts'
import { createDispatcher, type Dispatcher } from '../worker/dispatcher.ts'
import type { DueKeys } from '../worker/due-keys.ts'
import { createJobActivity } from '../worker/job-activity.ts'
import { createRepairer } from '../worker/repairer.ts'
import { createWorkerPool } from '../worker/worker-pool.ts'
import type { ContentStore } from './content-store.ts'
import { createScan, type Scan } from './scan.ts'
import { createStillWanted } from './still-wanted.ts'

export interface WorkPartsDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly store: ContentStore
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly planner: Planner
  readonly holders: Holders
  readonly asked: Asked
  readonly dueKeys: Pick<DueKeys, 'note'>
  readonly neighbours: Neighbours
  readonly source: RegistrySource
  readonly history: JobHistory
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface WorkParts extends AsyncDisposable {
  readonly queue: JobQueue
  readonly pauses: Pauses
  readonly dispatcher: Dispatcher
  readonly transfers: Transfers
  readonly fetcher: Fetcher
  readonly isAsking: AskingSource['isAsking']
  readonly scan: Scan
  /** Jobs and repairs are carried out, from now on. */
  start(): void
  /** Looks for blobs that the index names and the disk lacks. */
  startScrub(): void
}

export interface WorkOptions {
  /** Jobs carried out side by side. */
  readonly workers: number
}

export function createWorkParts(deps: WorkPartsDeps, { workers }: WorkOptions): WorkParts {
  const { topology, self, store, index, blobs, planner, holders, neighbours, events } = deps
  const { clock, random } = deps
  const { ledger, damage, leases, content, keeper } = store
  const building = new AsyncDisposableStack()

  const transfers = createTransfers({ clock })
  const limits = limitsInto(topology, self)
  const limit = (node: NodeName) => limits.get(node)?.at(clock.now())
  const meter = createTransferMeter({ clock, limit })
  const ranking = createSourceRanking({ topology, self, neighbours, holders, clock, meter, limit })
  const sources = {
    rank: ranking.rank,
    failed: ({ node, repository, digest, outcome, platforms, reason }: Attempt) => {
      const how = { isAbsent: outcome === 'absent', platforms }
      queue.notes.asked(jobId(repository, digest), { node, digest, outcome, reason })
      const isItsFault = outcome !== 'closed' && pauses.ofLink(node) === undefined
      if (isItsFault) ranking.failed(node, repository, digest, how)
    },
  }
  const paced = createPacedSource({ source: deps.source, limits, clock })
  const watched = createWatchedSource(createMeteredSource(paced, meter), transfers)
  const pauses = createPauses({ index, events, clock })
  const reasonFor = (node: NodeName) => {
    const pause = pauses.ofLink(node)
    return pause && pauseText(pause)
  }
  const unpaused = building.use(createPausedSource({ source: watched, reasonFor, events }))
  const source = createAskingSource({ source: unpaused, self })
  // The next term opens the same stages: what writes to them has ended when this one is closed.
  const fetcher = building.use(createFetcher({ source, blobs, sources, events }))

  const jobStore = createJobStore({ index })
  const activity = createJobActivity({ transfers })
  const queue: JobQueue = building.use(
    createJobQueue({
      store: jobStore,
      history: deps.history,
      events,
      clock,
      random,
      logger: deps.logger.child({ room: 'queue' }),
      pauses,
      activityOf: activity.of,
      hasHolder: (repository, digest, platforms) =>
        holders.of(repository, digest, platforms).size > 0,
    }),
  )
  let paused = pauses.list().length
  building.defer(
    events.on('pauses-changed', ({ pauses: { length } }) => {
      // What waited for a neighbour that was paused need not wait longer.
      if (length < paused) queue.wakeAll()
      paused = length
    }),
  )
  const logger = deps.logger.child({ room: 'worker' })
  const repairer = building.use(
    createRepairer({ damage, index, blobs, fetcher, events, clock, random, logger }),
  )
  const scrub = building.use(createScrub({ index, blobs, damage, clock, logger }))
  const dispatcher = building.use(
    createDispatcher({
      planner,
      content: keeper,
      queue,
      asked: deps.asked,
      dueKeys: deps.dueKeys,
      ledger,
      logger,
    }),
  )
  const isWanted = createStillWanted({ topology, self, ledger, neighbours, dispatcher })
  const { consider, giveUp } = dispatcher
  const timeZone = topology.nodes.get(self)?.timeZone ?? 'UTC'
  const jobFetcher = activity.following(fetcher, queue.notes)
  const work = {
    fetcher: jobFetcher,
    blobs,
    leases,
    damage,
    content,
    queue,
    clock,
    timeZone,
    logger,
  }
  const pool = building.use(createWorkerPool({ ...work, consider, giveUp, isWanted }, { workers }))
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
    pauses,
    dispatcher,
    transfers,
    fetcher,
    isAsking: source.isAsking,
    scan,
    start: () => {
      pool.start()
      repairer.start()
    },
    startScrub: scrub.start,
    [Symbol.asyncDispose]: () => building.disposeAsync(),
  }
}
