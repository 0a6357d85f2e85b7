/** One node of a simulation: the real core over memory, a simulated network and simulated time. */
import { type BusScope, createBusScope } from '../events/bus-scope.ts'
import { createEventBus, type EventBus } from '../events/event-bus.ts'
import type { MeshEvent } from '../events/mesh-event.ts'
import type { Network } from '../gossip/network.ts'
import type { Clock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { type ContentStore, openContentStore } from '../node/content-store.ts'
import { type Core, createCore } from '../node/core.ts'
import type { Digest } from '../oci/digest.ts'
import { createNeighbours } from '../peers/neighbours.ts'
import { type Identity, identityFromSeed } from '../record/identity.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { createIndexDb, type IndexDb } from '../storage/index-db.ts'
import { NO_LINK_FILES } from '../storage/link-journal.ts'
import { createMemoryBlobStore } from '../storage/memory-blob-store.ts'
import { createUploadSessions, type UploadSessions } from '../storage/upload-sessions.ts'
import { neighboursOf } from '../topology/flow.ts'
import { tagsMayMove } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { SimClock } from './sim-clock.ts'
import { backendOver, blobsOver, createSimDisk, noSpace, type SimDisk } from './sim-disk.ts'
import { createSimLife, type SimLife } from './sim-life.ts'
import type { SimHub } from './sim-network.ts'
import { createSimSource } from './sim-source.ts'

/** Writers push straight into the store here. */
const NO_UPLOADS = { uploads: 0, uploadBytes: 0 }
/** What nothing needs goes in the first run that sees it: nothing may rest on time. */
const NO_GRACE = { supersededMs: 0, unusedMs: 0 }

/** What a process has, from its start to its end. */
export interface SimProcess {
  readonly life: SimLife
  readonly blobs: BlobStore
  readonly uploads: UploadSessions
}

export interface SimNode {
  readonly name: NodeName
  readonly identity: Identity
  readonly disk: SimDisk
  /** Bytes that came in from other nodes, blob by blob. */
  readonly fetched: Map<Digest, number>
  /** Which it runs, or does from its next start on. */
  topology: Topology
  /** How far its wall clock is off, milliseconds. */
  clockOffsetMs: number
  /** Undefined while the process is down. */
  core: Core | undefined
  process: SimProcess | undefined
  /** Resolves when it runs, or has died on the way. */
  start(): Promise<void>
  /** Takes up another topology over what it keeps, without an end of the process. Resolves when it runs, or has died on the way. */
  change(topology: Topology): Promise<void>
  /** As kill -9: nothing is closed, nothing is flushed. */
  crash(): void
}

export interface SimNodeDeps {
  readonly topology: Topology
  readonly hub: SimHub
  readonly clock: SimClock
  readonly random: Random
  readonly nodes: ReadonlyMap<NodeName, SimNode>
  readonly onEvent?: (node: SimNode, event: MeshEvent) => void
  /** Before it does anything. */
  readonly onStart?: (node: SimNode, life: SimLife) => void
}

/** What a process keeps when its topology changes. */
interface Foundation extends SimProcess {
  readonly index: IndexDb
  readonly store: ContentStore
  readonly events: EventBus
  readonly clock: Clock
}

/** What comes of one topology. */
interface Term {
  readonly topology: Topology
  readonly core: Core
  readonly network: Network
  readonly events: BusScope
}

export async function createSimNode(deps: SimNodeDeps, name: NodeName): Promise<SimNode> {
  const { hub, random, nodes, onEvent = () => {}, onStart = () => {} } = deps
  const identity = identityOfNode(name)
  const fetched = new Map<Digest, number>()
  const disk = await createSimDisk()

  let foundation: Foundation | undefined
  let term: Term | undefined

  async function boot(life: SimLife): Promise<void> {
    const wallClock = deps.clock.shifted(() => node.clockOffsetMs)
    const clock = life.clock(wallClock)
    const events = createEventBus({ logger: silentLogger })
    events.on('blob-fetched', ({ digest }) => {
      fetched.set(digest, (fetched.get(digest) ?? 0) + 1)
    })
    events.onAny((event) => {
      if (!life.signal.aborted) onEvent(node, event)
    })
    const probe = async () => {
      if (disk.isFull) throw noSpace()
    }
    const backend = life.guard(backendOver(disk, { clock, random }))
    const index = createIndexDb(backend, { probe, clock, random, logger: silentLogger })
    const memory = createMemoryBlobStore({ clock, disk: disk.disk })
    const blobs = life.guard(blobsOver(disk, memory), ['stage'])
    const uploads = createUploadSessions({ blobs, index, clock }, NO_UPLOADS)
    node.process = { life, blobs, uploads }
    const own = { self: name, identity, index, blobs, events, clock, random, logger: silentLogger }
    const store = await openContentStore(
      {
        ...own,
        realm: node.topology.realm,
        tagsMayMove: (repository) => tagsMayMove(node.topology, repository),
        linkFiles: NO_LINK_FILES,
      },
      { sparse: 'refuse', graces: NO_GRACE },
    )
    foundation = { life, index, blobs, uploads, store, events, clock }
    await openTerm(foundation, undefined)
  }

  /** As `term.ts` does it: all that comes of a topology, over what the process keeps. */
  async function openTerm(
    kept: Foundation,
    unreadBefore: readonly NodeName[] | undefined,
  ): Promise<void> {
    const { life, index, blobs, uploads, store, clock } = kept
    const { topology } = node
    const events = createBusScope(kept.events)
    const own = { self: name, identity, index, blobs, events, clock, random, logger: silentLogger }
    const peers = neighboursOf(topology, name).map((other) => identityOfNode(other).peerId)
    const network = life.guard(hub.network(identity.peerId, peers))
    const { signal } = life
    const source = createSimSource({ self: name, nodes, clock, random, hub, signal })
    const core = await createCore(
      {
        ...own,
        topology,
        store,
        uploads,
        network,
        neighbours: createNeighbours({ topology, self: name, clock }),
        source: life.guard(source),
        issueToken: () => 'a token of the simulation',
      },
      { workers: 2, jobHistory: 0, graces: NO_GRACE, endpoint: `http://${name}`, unreadBefore },
    )
    if (life.signal.aborted) return
    term = { topology, core, network, events }
    node.core = core
    await core.start()
  }

  /** As `terms.ts` does it. Nobody is served meanwhile. */
  async function replace(kept: Foundation, before: Term, topology: Topology): Promise<void> {
    node.core = undefined
    await before.core[Symbol.asyncDispose]()
    await before.network[Symbol.asyncDispose]()
    before.events[Symbol.dispose]()
    const isWriter = before.topology.origins.some(({ writers }) => writers.includes(name))
    node.topology = topology
    await openTerm(kept, isWriter ? before.core.readBack.unread() : undefined)
  }

  /** A process that fails on the way ends. */
  async function orEnd(life: SimLife, work: Promise<void>): Promise<void> {
    const ended = work.catch((err: unknown) => {
      life.end()
      throw err
    })
    await Promise.race([ended, life.over])
  }

  const node: SimNode = {
    name,
    identity,
    disk,
    fetched,
    topology: deps.topology,
    clockOffsetMs: 0,
    core: undefined,
    process: undefined,
    start: async () => {
      const life = createSimLife(() => {
        hub.crash(identity.peerId)
        foundation = undefined
        term = undefined
        node.core = undefined
        node.process = undefined
      })
      onStart(node, life)
      await orEnd(life, boot(life))
    },
    change: async (topology) => {
      if (foundation === undefined || term === undefined) node.topology = topology
      else await orEnd(foundation.life, replace(foundation, term, topology))
    },
    crash: () => node.process?.life.end(),
  }
  return node
}

/** Keys are slow to make: one a name, as many as the topologies of a process have. */
const identities = new Map<NodeName, Identity>()

function identityOfNode(name: NodeName): Identity {
  const known = identities.get(name) ?? identityFromSeed(Buffer.alloc(32, name))
  identities.set(name, known)
  return known
}

export function peerOf(name: NodeName): PeerId {
  return identityOfNode(name).peerId
}
