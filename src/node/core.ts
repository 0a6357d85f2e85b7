/**
 * The core: everything of a node that decides, built over ports. It knows no socket, no file and no clock of its own, so
 * a simulation runs many of these in one process, and a real node is the same parts over disk, libp2p and HTTP.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Announcer } from '../gossip/announcer.ts'
import type { Greeter } from '../gossip/hello.ts'
import type { Network } from '../gossip/network.ts'
import type { ReadBack } from '../gossip/read-back.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { createHolders } from '../peers/holders.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import { createReading } from '../peers/reading.ts'
import { createDeleteRules } from '../planner/delete-rule.ts'
import { createLoserTags } from '../planner/loser-tags.ts'
import { createPlanner, type Planner } from '../planner/planner.ts'
import { openJobHistory } from '../queue/job-history.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { Pauses } from '../queue/pauses.ts'
import type { Identity } from '../record/identity.ts'
import type { OnRequest } from '../registry/request.ts'
import { createAsked } from '../storage/asked.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Graces } from '../storage/collected-item.ts'
import type { Collector } from '../storage/collector.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { platformsOf } from '../storage/index-parts.ts'
import { referrersNaming, tagsNaming } from '../storage/naming.ts'
import type { UploadSessions } from '../storage/upload-sessions.ts'
import { demandsOf } from '../topology/demand.ts'
import { type Naming, sourcesOf } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import type { Dispatcher } from '../worker/dispatcher.ts'
import { createPatientFetcher } from '../worker/patient-fetcher.ts'
import { createPulls, type Pulls } from '../worker/pulls.ts'
import type { Budget } from './budget.ts'
import type { ContentStore } from './content-store.ts'
import { createDeleteParts, type DeleteAccount } from './delete-parts.ts'
import { createGossipParts, type GossipParts, type GossipPartsOptions } from './gossip-parts.ts'
import type { Insight } from './insight.ts'
import { onRequestFor } from './lazy.ts'
import { createUpkeepParts } from './upkeep-parts.ts'
import { wire } from './wiring.ts'
import { createWorkParts } from './work-parts.ts'

export interface CoreDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly identity: Identity
  readonly index: IndexDb
  readonly blobs: BlobStore
  /** Over the same index and blobs. It stays the caller's: it outlives the core. */
  readonly store: ContentStore
  /** Before what frees space: the disk may be full. */
  readonly makeRoom?: () => Promise<void>
  readonly uploads: Pick<UploadSessions, 'list' | 'expire'>
  readonly network: Network
  readonly neighbours: Neighbours
  readonly source: RegistrySource
  /** A token with which the neighbour reads bytes here. */
  readonly issueToken: (node: NodeName) => string
  /** Whoever listens to it has to end with the core. */
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface CoreOptions extends GossipPartsOptions {
  readonly graces: Graces
  /** Jobs carried out side by side. */
  readonly workers: number
  /** Ended jobs that are kept. */
  readonly jobHistory: number
}

type Served = 'content' | 'ledger' | 'rows' | 'links' | 'damage' | 'leases' | 'author' | 'adopted'

export interface Core extends AsyncDisposable, Pick<ContentStore, Served> {
  readonly planner: Planner
  readonly queue: JobQueue
  readonly pauses: Pauses
  readonly dispatcher: Dispatcher
  readonly collector: Collector
  readonly deletes: DeleteAccount
  readonly pulls: Pulls
  /** Undefined where no policy brings this node anything so. */
  readonly onRequest: OnRequest | undefined
  /** Undefined where the topology sets none. */
  readonly budget: Budget | undefined
  readonly announcer: Announcer
  readonly greeter: Greeter
  readonly readBack: ReadBack
  readonly meshTime: GossipParts['meshTime']
  readonly signing: GossipParts['signing']
  readonly isWriter: (repository: RepositoryName) => boolean
  /** Workers, network and the first scan begin. */
  start(): Promise<void>
  readonly insight: Insight
  /** Workers and network run; the first scan may still go on. */
  isReady(): boolean
}

export async function createCore(deps: CoreDeps, options: CoreOptions): Promise<Core> {
  const { topology, self, identity, index, store, network, events } = deps
  const { clock, logger } = deps
  await using building = new AsyncDisposableStack()

  const { ledger, links, rows, logicalClock, author, damage, leases, adopted, content } = store
  const loserTags = createLoserTags(topology)
  const naming: Naming = {
    tagsNaming: (repository, digest) =>
      tagsNaming(index, repository, digest, { keepsLosers: loserTags.keeps(repository) }),
  }
  const isWriter = (repository: RepositoryName) => writersOf(topology, repository).includes(self)

  const holders = createHolders()
  const reading = createReading({ clock })
  const asked = createAsked({ index })
  const inventory = {
    entry: ledger.entry,
    isComplete: content.isComplete,
    platformsOf: (repository: RepositoryName, digest: Digest) =>
      platformsOf(index, repository, digest),
    askedOf: asked.of,
  }
  const demands = demandsOf(topology, self)
  const rules = createDeleteRules({ demands, naming })
  const planner = createPlanner({
    inventory,
    demands,
    naming,
    loserTags,
    isWriter,
    deletes: rules,
  })

  const { workers, jobHistory, graces, ...gossipOptions } = options
  const peer = { peerId: identity.peerId, logger: logger.child({ room: 'gossip' }) }
  const gossip = building.use(
    createGossipParts(
      {
        ...deps,
        ...peer,
        ledger,
        logicalClock,
        naming,
        reading,
        consider: (key) => work.dispatcher.consider(key),
      },
      gossipOptions,
    ),
  )
  const { announcer, feedReader, greeter, readBack, meshTime, signing } = gossip

  const sourceNames = new Set(sourcesOf(topology, self))
  const hasHeardAll = () => [...sourceNames].every((name) => reading.isWhole(name))
  const deletes = building.use(createDeleteParts({ ...deps, store, rules, meshTime, hasHeardAll }))
  const history = building.use(await openJobHistory({ index, logger }, jobHistory))
  const work = building.use(
    createWorkParts(
      { ...deps, store, planner, holders, asked, dueKeys: deletes.dueKeys, history },
      { workers },
    ),
  )
  const { queue, pauses, dispatcher, transfers, scan } = work

  const { oldestMs: oldestJobMs } = queue
  const upkeep = building.use(createUpkeepParts({ ...deps, demands, naming, oldestJobMs }, graces))
  const { collector, budget } = upkeep

  const pulls = createPulls({ planner, asked, queue, dispatcher })
  const hasRoom = budget?.hasRoom ?? (() => true)
  const isSource = (node: NodeName) => sourceNames.has(node)
  const { isAsking } = work
  const fetcher = createPatientFetcher({ ...deps, fetcher: work.fetcher, isSource })
  const lazy = { ...deps, ...store, demands, naming, fetcher, isAsking, pulls, asked, hasRoom }
  const onRequest = onRequestFor(lazy)
  if (onRequest !== undefined) building.use(onRequest)

  wire({
    events,
    topology,
    isSource,
    referrers: (repository, digest) => referrersNaming(index, repository, digest),
    dispatcher,
    feedReader,
    holders,
    queue,
  })

  let isReady = false
  const parts = building.move()
  return {
    content,
    ledger,
    planner,
    queue,
    pauses,
    dispatcher,
    rows,
    links,
    damage,
    leases,
    collector,
    deletes: deletes.account,
    pulls,
    onRequest,
    budget,
    announcer,
    greeter,
    readBack,
    meshTime,
    signing,
    author,
    adopted,
    isWriter,
    insight: { naming, holders, reading, transfers, isScanning: scan.isRunning },
    isReady: () => isReady,
    start: async () => {
      await gossip.start()
      work.start()
      deletes.dueKeys.start()
      await network.start()
      readBack.start()
      work.startScrub()
      upkeep.start()
      isReady = true
      scan.run()
    },
    [Symbol.asyncDispose]: () => {
      isReady = false
      return parts.disposeAsync()
    },
  }
}
