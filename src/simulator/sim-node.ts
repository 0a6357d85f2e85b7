/** One node of a simulation: the real core over memory, a simulated network and simulated time. */
import { MemoryLevel } from 'memory-level'
import { createEventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { type Core, createCore } from '../node/core.ts'
import type { Digest } from '../oci/digest.ts'
import { createNeighbours } from '../peers/neighbours.ts'
import { type Identity, identityFromSeed } from '../record/identity.ts'
import type { PeerId } from '../record/peer-id.ts'
import { createIndexDb, type IndexBackend } from '../storage/index-db.ts'
import {
  createMemoryBlobStore,
  createMemoryDisk,
  type MemoryDisk,
} from '../storage/memory-blob-store.ts'
import { createUploadSessions } from '../storage/upload-sessions.ts'
import { neighboursOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { SimHub } from './sim-network.ts'
import { createSimSource } from './sim-source.ts'

/** Writers push straight into the store here. */
const NO_UPLOADS = { uploads: 0, uploadBytes: 0 }
/** What nothing needs goes in the first run that sees it: nothing may rest on time. */
const NO_GRACE = { supersededMs: 0, unusedMs: 0 }

/** What survives a crash of the process. */
export interface SimDisk {
  readonly backend: IndexBackend
  readonly disk: MemoryDisk
}

export interface SimNode {
  readonly name: NodeName
  readonly identity: Identity
  readonly disk: SimDisk
  /** Bytes that came in from other nodes, blob by blob. */
  readonly fetched: Map<Digest, number>
  /** Undefined while the process is down. */
  core: Core | undefined
  start(): Promise<void>
  /** As kill -9: nothing is closed, nothing is flushed. */
  crash(): void
}

export interface SimNodeDeps {
  readonly topology: Topology
  readonly hub: SimHub
  readonly clock: Clock
  readonly random: Random
  readonly nodes: ReadonlyMap<NodeName, SimNode>
}

export async function createSimNode(
  { topology, hub, clock, random, nodes }: SimNodeDeps,
  name: NodeName,
): Promise<SimNode> {
  const backend = new MemoryLevel<string, Uint8Array>({
    keyEncoding: 'utf8',
    valueEncoding: 'view',
  })
  await backend.open()
  const identity = identityOfNode(name)
  const fetched = new Map<Digest, number>()
  const disk: SimDisk = { backend, disk: createMemoryDisk() }
  let process = new AbortController()

  const node: SimNode = {
    name,
    identity,
    disk,
    fetched,
    core: undefined,
    start: async () => {
      const { signal } = process
      const alive: Clock = {
        now: () => clock.now(),
        // A process that is gone never wakes up again.
        sleep: async (ms, options) => {
          await clock.sleep(ms, options)
          if (signal.aborted) await new Promise(() => {})
        },
      }
      const events = createEventBus({ logger: silentLogger })
      events.on('blob-fetched', ({ digest }) => {
        fetched.set(digest, (fetched.get(digest) ?? 0) + 1)
      })
      const peers = neighboursOf(topology, name).map((other) => identityOfNode(other).peerId)
      const neighbours = createNeighbours({ topology, self: name, clock: alive })
      const index = createIndexDb(crashable(backend, signal))
      const blobs = createMemoryBlobStore({ clock: alive, disk: disk.disk })
      const core = await createCore(
        {
          topology,
          self: name,
          identity,
          index,
          blobs,
          uploads: createUploadSessions({ blobs, index, clock: alive }, NO_UPLOADS),
          linkFiles: { apply: async () => {} },
          network: hub.network(identity.peerId, peers),
          neighbours,
          source: createSimSource({
            topology,
            self: name,
            nodes,
            clock: alive,
            random,
            hub,
            signal,
          }),
          issueToken: () => 'a token of the simulation',
          events,
          clock: alive,
          random,
          logger: silentLogger,
        },
        { workers: 2, sparse: 'refuse', graces: NO_GRACE, endpoint: `http://${name}` },
      )
      node.core = core
      await core.start()
    },
    crash: () => {
      process.abort()
      process = new AbortController()
      hub.crash(identity.peerId)
      node.core = undefined
    },
  }
  return node
}

/** Writes of a process that is gone do not happen; a batch that was under way is there whole or not at all. */
function crashable(backend: IndexBackend, signal: AbortSignal): IndexBackend {
  return new Proxy(backend, {
    get: (target, property) => {
      if (property === 'batch' && signal.aborted) return () => new Promise(() => {})
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

function identityOfNode(name: NodeName): Identity {
  return identityFromSeed(Buffer.alloc(32, name))
}

export function peerOf(name: NodeName): PeerId {
  return identityOfNode(name).peerId
}
