/**
 * The core: everything of a node that decides, built over ports. It knows no socket, no file and no clock of its own, so
 * a simulation runs many of these in one process, and a real node is the same parts over disk, libp2p and HTTP.
 */
import { createAdmission } from '../gossip/admission.ts'
import { type Announcer, createAnnouncer } from '../gossip/announcer.ts'
import { createFeedReader } from '../gossip/feed-reader.ts'
import { createFeedServer } from '../gossip/feed-server.ts'
import { createHello, type Greeter } from '../gossip/hello.ts'
import { createListener } from '../gossip/listener.ts'
import type { Network } from '../gossip/network.ts'
import { createReceiver } from '../gossip/receiver.ts'
import { unparkInTime } from '../gossip/unpark.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { createHolders } from '../peers/holders.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import { createSourceRanking } from '../peers/source-ranking.ts'
import { createTransferMeter } from '../peers/transfer-meter.ts'
import { createPlanner, type Planner } from '../planner/planner.ts'
import type { Job } from '../queue/job.ts'
import { createJobQueue, type JobQueue } from '../queue/job-queue.ts'
import { createJobStore } from '../queue/job-store.ts'
import { visibleOf } from '../record/history.ts'
import { type Collector, createCollector } from '../storage/collector.ts'
import { itemOf, referrersNaming, tagsNaming } from '../storage/naming.ts'
import type { UploadSessions } from '../storage/upload-sessions.ts'
import { asksFor, flow, type Naming, sourcesOf, wants } from '../topology/flow.ts'
import { topicsOf } from '../topology/groups.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Attempt } from '../transfer/attempts.ts'
import { createFetcher } from '../transfer/fetcher.ts'
import { createMeteredSource } from '../transfer/metered-source.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import { createDispatcher, type Dispatcher } from '../worker/dispatcher.ts'
import { createRepairer } from '../worker/repairer.ts'
import { createWorkerPool } from '../worker/worker-pool.ts'
import {
  type ContentStore,
  type ContentStoreDeps,
  type ContentStoreOptions,
  openContentStore,
} from './content-store.ts'
import { wire } from './wiring.ts'

export interface CoreDeps extends ContentStoreDeps {
  readonly self: NodeName
  readonly uploads: Pick<UploadSessions, 'list' | 'expire'>
  readonly network: Network
  readonly neighbours: Neighbours
  readonly source: RegistrySource
  /** A token with which the neighbour reads bytes here. */
  readonly issueToken: (node: NodeName) => string
}

export interface CoreOptions extends ContentStoreOptions {
  /** Jobs carried out side by side. */
  readonly workers: number
  /** Base URL of this node's registry, for neighbours whose file does not say. */
  readonly endpoint?: string
  /** Of the keys that this node's registry serves now. */
  readonly fingerprints?: () => readonly string[]
}

type Served = 'content' | 'ledger' | 'rows' | 'links' | 'damage' | 'leases'

export interface Core extends AsyncDisposable, Pick<ContentStore, Served> {
  readonly planner: Planner
  readonly queue: JobQueue
  readonly dispatcher: Dispatcher
  readonly collector: Collector
  readonly announcer: Announcer
  readonly greeter: Greeter
  /** Workers, network and the first scan begin. */
  start(): Promise<void>
  /** Workers and network run; the first scan may still go on. */
  isReady(): boolean
}

export async function createCore(deps: CoreDeps, options: CoreOptions): Promise<Core> {
  const { topology, self, identity, index, blobs, network, neighbours, events } = deps
  const { clock, random, logger } = deps
  await using building = new AsyncDisposableStack()

  const store = await openContentStore(deps, options)
  const { ledger, links, rows, logicalClock, author, damage, leases, keeper, content } = store
  building.use(links)
  const naming: Naming = {
    tagsNaming: async (repository, digest) => tagsNaming(index, repository, digest),
  }
  const isWriter = (repository: RepositoryName) => writersOf(topology, repository).includes(self)

  const holders = createHolders()
  const meter = createTransferMeter({ clock })
  const ranking = createSourceRanking({ topology, self, neighbours, holders, clock, meter })
  const wanted = wants(topology, self)
  const inventory = { entry: ledger.entry, isComplete: content.isComplete }
  const planner = createPlanner({ inventory, wanted, naming, isWriter })

  const gossipLogger = logger.child({ room: 'gossip' })
  const admission = createAdmission({ topology, clock })
  const gossip = { network, topology, ledger, naming, clock, random, events, logger: gossipLogger }
  const receiver = createReceiver({ ...gossip, index, logicalClock, admission })
  const topics = topicsOf(topology, self)
  const announcer = createAnnouncer({ ...gossip, topics })
  createListener({ ...gossip, topics, admission, receiver })
  createFeedServer({ ...gossip, self })
  const filterFrom = (node: NodeName) => flow(topology, node, self)
  const feedReader = building.use(
    createFeedReader({ ...gossip, filterFrom, admission, receiver, index }),
  )
  const { workers, graces, ...served } = options
  const greeter = createHello({
    ...gossip,
    neighbours,
    self: { peerId: identity.peerId, epoch: ledger.epoch, ...served },
    issueToken: deps.issueToken,
  })

  const hasHolder = (repository: RepositoryName, digest: Digest) =>
    holders.of(repository, digest).size > 0
  const queueLogger = logger.child({ room: 'queue' })
  const jobStore = createJobStore({ index })
  const queue = building.use(
    createJobQueue({ store: jobStore, events, clock, random, logger: queueLogger, hasHolder }),
  )
  const sources = {
    rank: ranking.rank,
    failed: ({ node, repository, digest, outcome }: Attempt) =>
      ranking.failed(node, repository, digest, outcome === 'absent'),
  }
  const source = createMeteredSource(deps.source, meter)
  const fetcher = createFetcher({ source, blobs, sources, events })
  const workLogger = logger.child({ room: 'worker' })
  const repairer = building.use(
    createRepairer({ damage, index, blobs, fetcher, events, clock, random, logger: workLogger }),
  )
  const dispatcher = building.use(
    createDispatcher({ planner, content: keeper, queue, ledger, logger: workLogger }),
  )
  const isWanted = ({ repository, digest, references }: Job) =>
    [...references].some((reference) => {
      const history = ledger.entry({ repository, reference })?.history ?? []
      return visibleOf(history)?.record.digest === digest
    })
  const pool = building.use(
    createWorkerPool(
      {
        fetcher,
        blobs,
        leases,
        damage,
        content,
        queue,
        clock,
        logger: workLogger,
        consider: dispatcher.consider,
        isWanted,
      },
      { workers },
    ),
  )

  const asked = asksFor(topology, self)
  const collector = building.use(
    createCollector(
      {
        index,
        blobs,
        leases,
        ledger,
        rows,
        events,
        uploads: deps.uploads,
        rights: {
          author,
          isWriter,
          isWanted: (key, record) => asked.passes(itemOf(key, record), naming),
        },
        oldestJobMs: queue.oldestMs,
        clock,
        random,
        logger: logger.child({ room: 'storage' }),
      },
      graces,
    ),
  )

  const sourceNames = new Set(sourcesOf(topology, self))
  wire({
    events,
    topology,
    isSource: (node) => sourceNames.has(node),
    referrers: (repository, digest) => referrersNaming(index, repository, digest),
    dispatcher,
    feedReader,
    holders,
    queue,
  })

  let isReady = false
  function scan(): void {
    dispatcher
      .considerAll()
      .catch((err: unknown) => workLogger.warn({ err }, 'ledger not looked through'))
  }
  // Keys whose turn came while nothing could be written, and what a failed batch left behind after all.
  building.defer(index.onReopened(scan))
  const stop = new AbortController()
  building.defer(() => stop.abort())
  const parts = building.move()
  return {
    content,
    ledger,
    planner,
    queue,
    dispatcher,
    rows,
    links,
    damage,
    leases,
    collector,
    announcer,
    greeter,
    isReady: () => isReady,
    start: async () => {
      await receiver.unpark()
      pool.start()
      repairer.start()
      await network.start()
      collector.start()
      isReady = true
      // In the background: it takes longer the more there is, and nothing that is served waits for it.
      scan()
      void unparkInTime(receiver.unpark, clock, stop.signal, gossipLogger)
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
