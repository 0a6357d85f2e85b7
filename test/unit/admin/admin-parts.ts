/** An administration API over real parts in memory: index, ledger, queue, bus and access of one node of two. */
import { MemoryLevel } from 'memory-level'
import type { AnonymousRight } from '../../../src/access/access.ts'
import { createAccess } from '../../../src/access/create-access.ts'
import { createAdminApp } from '../../../src/admin/admin-app.ts'
import type { StatusView } from '../../../src/admin/views.ts'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { createMeshAccount } from '../../../src/node/mesh-account.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import type { Reference, RepositoryName } from '../../../src/oci/name.ts'
import { createHolders } from '../../../src/peers/holders.ts'
import { createNeighbours } from '../../../src/peers/neighbours.ts'
import { createReading } from '../../../src/peers/reading.ts'
import { createTransfers } from '../../../src/peers/transfers.ts'
import { createLoserTags } from '../../../src/planner/loser-tags.ts'
import { createPlanner } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/job-queue.ts'
import { createJobStore } from '../../../src/queue/job-store.ts'
import { createAuthor } from '../../../src/record/author.ts'
import { identityFromSeed } from '../../../src/record/identity.ts'
import { createLogicalClock } from '../../../src/record/time.ts'
import { createSimClock } from '../../../src/simulator/sim-clock.ts'
import { createBlobLeases } from '../../../src/storage/blob-leases.ts'
import { createCollector } from '../../../src/storage/collector.ts'
import { createContentRows } from '../../../src/storage/content-rows.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { openLedger } from '../../../src/storage/ledger.ts'
import { createLinkJournal, NO_LINK_FILES } from '../../../src/storage/link-journal.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import { createUploadSessions } from '../../../src/storage/upload-sessions.ts'
import { wants } from '../../../src/topology/flow.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'

const HUB = identityFromSeed(Buffer.alloc(32, 1))
const EDGE = identityFromSeed(Buffer.alloc(32, 2))

const TOPOLOGY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: pair, generation: 3 }
nodes:
  hub: { peerId: ${HUB.peerId}, endpoint: "http://127.0.0.1:5000" }
  edge: { peerId: ${EDGE.peerId} }
origins: [{ repos: ["**"], writers: hub }]
policies: { all: { match: { repos: ["demo/**"] }, mode: eager, slo: { lag: 60s } } }
links: [{ shape: star, center: hub, leaves: edge, policies: [all] }]
`

export const REPOSITORY = 'demo/hello' as RepositoryName
export const START_MS = Date.parse('2026-01-02T03:04:05.000Z')

/** The API as the edge serves it. */
export async function createAdminParts({
  anonymous = 'pull',
  isReady = () => true,
  stopping,
}: {
  readonly anonymous?: AnonymousRight
  readonly isReady?: () => boolean
  readonly stopping?: AbortSignal
} = {}) {
  const { topology } = readTopology(TOPOLOGY)
  if (topology === undefined) throw new Error('the topology of the test is valid')
  const backend = new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' })
  await backend.open()
  const index = createIndexDb(backend)
  const clock = createSimClock(START_MS)
  const events = createEventBus({ logger: silentLogger })
  const ledger = await openLedger({ index }, { epoch: 'test' })
  const store = createJobStore({ index })
  const random = systemRandom
  const queue = createJobQueue({ store, events, clock, random, logger: silentLogger })
  const self = 'edge' as NodeName
  const planner = createPlanner({
    inventory: { entry: ledger.entry, isComplete: () => false },
    wanted: wants(topology, self),
    naming: { tagsNaming: async function* () {} },
    loserTags: createLoserTags(topology),
    isWriter: () => false,
  })
  const access = createAccess({ nodeMayRead: () => true, random }, { anonymous })
  const status = (): StatusView => ({
    node: self,
    version: '0.0.0',
    peerId: EDGE.peerId,
    realm: topology.realm,
    generation: topology.generation,
    topologyHash: topology.hash,
    endpoint: '',
    startedAtMs: START_MS,
    isReady: isReady(),
    time: { offsetMs: 0, sources: [] },
    feed: { epoch: ledger.epoch, head: ledger.head() },
    neighbours: [{ name: 'hub', state: 'down', sinceMs: START_MS, isSource: true }],
    jobs: countStates(queue.list()),
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
  const app = createAdminApp({
    ...createMeshAccount({
      topology,
      self,
      ledger,
      planner,
      queue,
      index,
      blobs,
      neighbours,
      events,
      clock,
      status,
      dispatcher: { waiting: () => 0 },
      damage: { page: async () => [] },
      isReady,
      insight: { naming, holders, reading, transfers, isScanning: () => false },
    }),
    collector,
    access,
    status,
    queue,
    ledger,
    planner,
    topology,
    insight: { holders },
    events,
    clock,
    logger: silentLogger,
    ...(stopping === undefined ? {} : { stopping }),
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
  function addJob(name: string): string {
    const digest = digestOf(Buffer.from(name))
    const key = { repository: REPOSITORY, reference: name as Reference }
    queue.add({ kind: 'pull', key, digest, recordId: `record of ${name}` })
    return `${REPOSITORY}@${digest}`
  }

  /** Asks over a socket from `address`. */
  function ask(path: string, { address = '127.0.0.1', ...init }: Ask = {}): Promise<Response> {
    const incoming = { socket: { remoteAddress: address } }
    return Promise.resolve(app.request(path, init, { incoming }))
  }

  return {
    access,
    ask,
    index,
    blobs,
    clock,
    events,
    queue,
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

function countStates(jobs: readonly JobView[]): StatusView['jobs'] {
  const counts: StatusView['jobs'] = {}
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

export type Ask = RequestInit & { readonly address?: string }

export async function jsonOf<T>(answer: Response | Promise<Response>): Promise<T> {
  return (await (await answer).json()) as T
}
