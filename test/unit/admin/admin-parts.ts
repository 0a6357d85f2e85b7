/** An administration API over real parts in memory: index, ledger, queue, bus and access of one node of two. */
import { MemoryLevel } from 'memory-level'
import type { AnonymousRight } from '../../../src/access/access.ts'
import { createAccess } from '../../../src/access/create-access.ts'
import { createAdminApp } from '../../../src/admin/admin-app.ts'
import { createLiveStreams } from '../../../src/admin/live-streams.ts'
import { createMetrics } from '../../../src/admin/metrics.ts'
import type { AppliedTopology } from '../../../src/admin/topology-routes.ts'
import type { StatusView } from '../../../src/admin/views.ts'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { SealedTopology } from '../../../src/gossip/topology-codec.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { createMeshAccount } from '../../../src/node/mesh-account.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import type { Reference, RepositoryName } from '../../../src/oci/name.ts'
import { createHolders } from '../../../src/peers/holders.ts'
import { createNeighbours } from '../../../src/peers/neighbours.ts'
import { createReading } from '../../../src/peers/reading.ts'
import { createTransfers } from '../../../src/peers/transfers.ts'
import { createDeleteRules } from '../../../src/planner/delete-rule.ts'
import { createLoserTags } from '../../../src/planner/loser-tags.ts'
import { createPlanner, type PullPlan } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/create-job-queue.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import { createJobStore } from '../../../src/queue/job-store.ts'
import { createPauses } from '../../../src/queue/pauses.ts'
import { createAuthor } from '../../../src/record/author.ts'
import { identityFromSeed } from '../../../src/record/identity.ts'
import { createLogicalClock } from '../../../src/record/time.ts'
import { createSimClock } from '../../../src/simulator/sim-clock.ts'
import { createAsked } from '../../../src/storage/asked.ts'
import { createBlobLeases } from '../../../src/storage/blob-leases.ts'
import { createCollector } from '../../../src/storage/collector.ts'
import { createContentRows } from '../../../src/storage/content-rows.ts'
import { createDeleteRows } from '../../../src/storage/delete-rows.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { openLedger } from '../../../src/storage/ledger.ts'
import { createLinkJournal, NO_LINK_FILES } from '../../../src/storage/link-journal.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import { createUploadSessions } from '../../../src/storage/upload-sessions.ts'
import { demandsOf } from '../../../src/topology/demand.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createDueKeys } from '../../../src/worker/due-keys.ts'
import { createOriginDeletes } from '../../../src/worker/origin-deletes.ts'
import { createPulls } from '../../../src/worker/pulls.ts'

const HUB = identityFromSeed(Buffer.alloc(32, 1))
const EDGE = identityFromSeed(Buffer.alloc(32, 2))

const topologyText = (deletes: string) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: pair, generation: 3 }
nodes:
  hub: { peerId: ${HUB.peerId}, endpoint: "http://127.0.0.1:5000" }
  edge: { peerId: ${EDGE.peerId} }
origins: [{ repos: ["**"], writers: hub }]
policies: { all: { match: { repos: ["demo/**"] }, mode: eager, slo: { lag: 60s }, deletes: ${deletes} } }
links: [{ shape: star, center: hub, leaves: edge, policies: [all] }]
`

export const REPOSITORY = 'demo/hello' as RepositoryName
/** Ended jobs that are kept. */
const HISTORY = 1_000
export const START_MS = Date.parse('2026-01-02T03:04:05.000Z')

/** The API as the edge serves it. */
export async function createAdminParts({
  anonymous = 'pull',
  isReady = () => true,
  stopping,
  deletePolicy = '{ propagate: false }',
  applyTopology = async () => ({ kind: 'refused', code: 'OWNER_UNKNOWN', reason: 'of the test' }),
}: {
  readonly anonymous?: AnonymousRight
  readonly isReady?: () => boolean
  readonly stopping?: AbortSignal
  /** `deletes` of the policy by which the edge holds what it holds. */
  readonly deletePolicy?: string
  readonly applyTopology?: (sealed: SealedTopology) => Promise<AppliedTopology>
} = {}) {
  const { topology } = readTopology(topologyText(deletePolicy))
  if (topology === undefined) throw new Error('the topology of the test is valid')
  const backend = new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' })
  await backend.open()
  const index = createIndexDb(backend)
  const clock = createSimClock(START_MS)
  const events = createEventBus({ logger: silentLogger })
  const ledger = await openLedger({ index }, { epoch: 'test' })
  const store = createJobStore({ index })
  const random = systemRandom
  const pauses = createPauses({ index, events, clock })
  const logger = silentLogger
  const history = await openJobHistory({ index, logger }, HISTORY)
  const queue = createJobQueue({ store, history, events, clock, random, pauses, logger })
  const self = 'edge' as NodeName
  const demands = demandsOf(topology, self)
  const rules = createDeleteRules({ demands, naming: { tagsNaming: async function* () {} } })
  const planner = createPlanner({
    inventory: {
      entry: ledger.entry,
      isComplete: () => false,
      platformsOf: () => [],
      askedOf: () => undefined,
    },
    demands,
    naming: { tagsNaming: async function* () {} },
    loserTags: createLoserTags(topology),
    isWriter: () => false,
    deletes: rules,
  })
  const access = createAccess({ nodeMayRead: () => true, random }, { anonymous })
  const status = (): StatusView => ({
    node: self,
    version: '0.0.0',
    peerId: EDGE.peerId,
    realm: topology.realm,
    generation: topology.generation,
    topologyHash: topology.hash,
    topology: { isSigned: false },
    endpoint: '',
    startedAtMs: START_MS,
    isReady: isReady(),
    time: { offsetMs: 0, sources: [] },
    feed: { epoch: ledger.epoch, head: ledger.head() },
    neighbours: [{ name: 'hub', state: 'down', sinceMs: START_MS, isSource: true }],
    jobs: queue.counts(),
    paused: pauses.list(),
    counters: { recordsStored: 0 },
  })
  const blobs = createMemoryBlobStore({ clock, disk: createMemoryDisk() })
  const links = createLinkJournal({ index, files: NO_LINK_FILES, clock, logger: silentLogger })
  const collector = createCollector(
    {
      index,
      blobs,
      ledger,
      rows: createContentRows({ ledger, links }),
      uploads: createUploadSessions({ blobs, index, clock }, { uploads: 1, uploadBytes: 1 }),
      leases: createBlobLeases({ clock, random }, { keepMs: 0 }),
      rights: undefined,
      oldestJobMs: queue.oldestMs,
      events,
      clock,
      random,
      logger: silentLogger,
    },
    { supersededMs: 0, unusedMs: 0 },
  )
  const neighbours = createNeighbours({ topology, self, clock })
  const naming = { tagsNaming: async function* () {} }
  const [holders, reading] = [createHolders(), createReading({ clock })]
  const transfers = createTransfers({ clock })
  const content = { drop: async () => {}, isComplete: () => false }
  const originDeletes = createOriginDeletes({
    ledger,
    rules,
    rows: createDeleteRows({ index }),
    content,
    nowMs: clock.now,
  })
  const dueKeys = createDueKeys({
    deletes: originDeletes,
    events,
    clock,
    nowMs: clock.now,
    hasHeardAll: () => true,
    logger: silentLogger,
  })
  const account = createMeshAccount({
    topology,
    self,
    ledger,
    planner,
    queue,
    index,
    blobs,
    neighbours,
    clock,
    dispatcher: { waiting: () => 0 },
    damage: { page: async () => [] },
    isReady,
    insight: { naming, holders, reading, transfers, isScanning: () => false },
    deletes: originDeletes,
  })
  const { convergence } = account
  const app = createAdminApp({
    pulls: createPulls({
      planner,
      asked: createAsked({ index }),
      queue,
      dispatcher: { consider: () => {} },
    }),
    ...account,
    metrics: createMetrics({ events, status, convergence }),
    topologyState: () => ({ isSigned: false }),
    topologyFile: () => ({ text: topologyText(deletePolicy) }),
    applyTopology,
    collector,
    deletes: { ...dueKeys, of: originDeletes.of },
    access,
    status,
    queue,
    pauses,
    neighbours,
    ledger,
    planner,
    topology,
    insight: { holders },
    streams: createLiveStreams({ events, clock, random, stopping }),
    logger,
  })
  const author = createAuthor(
    { identity: HUB, logicalClock: createLogicalClock({ clock }) },
    { realm: topology.realm },
  )

  /** A record of the hub becomes known here. */
  async function know(reference: string, digest: Digest | undefined): Promise<void> {
    const key = { repository: REPOSITORY, reference: reference as Reference }
    const history = ledger.entry(key)?.history ?? []
    const put = { kind: 'put', digest: digest as Digest, mediaType: 'text/plain', size: 7 } as const
    const draft = digest === undefined ? ({ kind: 'delete' } as const) : put
    const signed = author.sign({ ...key, ...draft }, history)
    await index.transact((tx) => ledger.add(tx, signed))
  }

  /** The node serves the digest for the reference. */
  async function hold(reference: string, digest: Digest): Promise<void> {
    const key = { repository: REPOSITORY, reference: reference as Reference }
    await index.transact((tx) => ledger.hold(tx, key, { digest, coverage: 'all' }))
  }

  /** A queued job. @returns its id. */
  function addJob(name: string, more: Partial<PullPlan> = {}): string {
    const digest = digestOf(Buffer.from(name))
    const key = { repository: REPOSITORY, reference: name as Reference }
    queue.add({ kind: 'pull', key, digest, recordId: `record of ${name}`, ...more })
    return `${REPOSITORY}@${digest}`
  }

  /** Asks over a socket from `address`. */
  function ask(path: string, { address = '127.0.0.1', ...init }: Ask = {}): Promise<Response> {
    const incoming = { socket: { remoteAddress: address } }
    return Promise.resolve(app.request(path, init, { incoming }))
  }

  return {
    app,
    access,
    ask,
    pauses,
    index,
    blobs,
    clock,
    events,
    queue,
    dueKeys,
    neighbours,
    holders,
    reading,
    transfers,
    hubPeerId: HUB.peerId,
    know,
    hold,
    addJob,
  }
}

export type Ask = RequestInit & { readonly address?: string }

export async function jsonOf<T>(answer: Response | Promise<Response>): Promise<T> {
  return (await (await answer).json()) as T
}
