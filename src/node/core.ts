/**
 * The core: everything of a node that decides, built over ports. It knows no socket, no file and no clock of its own, so
 * a simulation runs many of these in one process, and a real node is the same parts over disk, libp2p and HTTP.
 */
import type { Announcer } from '../gossip/announcer.ts'
import type { Greeter } from '../gossip/hello.ts'
import type { Network } from '../gossip/network.ts'
import type { ReadBack } from '../gossip/read-back.ts'
import type { RepositoryName } from '../oci/name.ts'
import { createHolders } from '../peers/holders.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import { createReading } from '../peers/reading.ts'
import { createLoserTags } from '../planner/loser-tags.ts'
import { createPlanner, type Planner } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { type Collector, createCollector } from '../storage/collector.ts'
import { itemOf, referrersNaming, tagsNaming } from '../storage/naming.ts'
import type { UploadSessions } from '../storage/upload-sessions.ts'
import { asksFor, type Naming, sourcesOf, wants } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName } from '../topology/topology.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import type { Dispatcher } from '../worker/dispatcher.ts'
import {
  type ContentStore,
  type ContentStoreDeps,
  type ContentStoreOptions,
  openContentStore,
} from './content-store.ts'
import { createGossipParts, type GossipParts, type GossipPartsOptions } from './gossip-parts.ts'
import type { Insight } from './insight.ts'
import { wire } from './wiring.ts'
import { createWorkParts } from './work-parts.ts'

export interface CoreDeps extends ContentStoreDeps {
  readonly self: NodeName
  readonly uploads: Pick<UploadSessions, 'list' | 'expire'>
  readonly network: Network
  readonly neighbours: Neighbours
  readonly source: RegistrySource
  /** A token with which the neighbour reads bytes here. */
  readonly issueToken: (node: NodeName) => string
}

export interface CoreOptions extends ContentStoreOptions, GossipPartsOptions {
  /** Jobs carried out side by side. */
  readonly workers: number
}

type Served = 'content' | 'ledger' | 'rows' | 'links' | 'damage' | 'leases' | 'author' | 'adopted'

export interface Core extends AsyncDisposable, Pick<ContentStore, Served> {
  readonly planner: Planner
  readonly queue: JobQueue
  readonly dispatcher: Dispatcher
  readonly collector: Collector
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
  const { topology, self, identity, index, blobs, network, events } = deps
  const { clock, random, logger } = deps
  await using building = new AsyncDisposableStack()

  const store = await openContentStore(deps, options)
  const { ledger, links, rows, logicalClock, author, damage, leases, adopted, content } = store
  for (const part of [ledger, links]) building.use(part)
  const loserTags = createLoserTags(topology)
  const naming: Naming = {
    tagsNaming: (repository, digest) =>
      tagsNaming(index, repository, digest, { keepsLosers: loserTags.keeps(repository) }),
  }
  const isWriter = (repository: RepositoryName) => writersOf(topology, repository).includes(self)

  const holders = createHolders()
  const reading = createReading({ clock })
  const wanted = wants(topology, self)
  const inventory = { entry: ledger.entry, isComplete: content.isComplete }
  const planner = createPlanner({ inventory, wanted, naming, loserTags, isWriter })

  const { workers, graces, ...gossipOptions } = options
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

  const work = building.use(createWorkParts({ ...deps, store, planner, holders }, { workers }))
  const { queue, dispatcher, transfers, scan } = work

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
        makeRoom: deps.makeRoom,
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
      await network.start()
      readBack.start()
      work.startScrub()
      collector.start()
      isReady = true
      scan.run()
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
