/** One node of a large simulation: the real core, over an index in memory and blobs without bytes. It never dies. */
import type { EventBus } from '../events/event-bus.ts'
import { createEventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { openContentStore } from '../node/content-store.ts'
import { type Core, createCore } from '../node/core.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import { createNeighbours } from '../peers/neighbours.ts'
import { createIndexDb } from '../storage/index-db.ts'
import { NO_LINK_FILES } from '../storage/link-journal.ts'
import { createUploadSessions } from '../storage/upload-sessions.ts'
import { neighboursOf } from '../topology/flow.ts'
import { tagsMayMove } from '../topology/origins.ts'
import type { NodeName } from '../topology/topology.ts'
import { type BlobSizes, createSizedBlobStore } from './scale-blobs.ts'
import type { SizedImage } from './scale-image.ts'
import { createScaleSource, type ScaleSourceDeps } from './scale-source.ts'
import type { ScaledTopology } from './scale-topology.ts'
import { createSimDisk } from './sim-disk.ts'
import type { SimHub } from './sim-network.ts'

export interface ScaleNode {
  readonly name: NodeName
  readonly core: Core
  readonly events: EventBus
  /** As a client: blobs first, then the manifest under its tag. */
  push(repository: RepositoryName, tag: Tag, image: SizedImage): Promise<void>
}

export interface ScaleNodeDeps extends Omit<ScaleSourceDeps, 'topology' | 'self' | 'isConnected'> {
  readonly scaled: ScaledTopology
  readonly hub: SimHub
  readonly clock: Clock
  readonly random: Random
  readonly sizes: BlobSizes
}

/** As a node has them where nobody says otherwise. */
const WORKERS = 4
const GRACES = { supersededMs: 7 * 86_400_000, unusedMs: 86_400_000 }
/** Writers push straight into the store. */
const NO_UPLOADS = { uploads: 0, uploadBytes: 0 }

export async function createScaleNode(
  deps: ScaleNodeDeps,
  name: NodeName,
  options: { readonly roundTripMs: number },
): Promise<ScaleNode> {
  const { scaled, hub, clock, random, sizes } = deps
  const { topology, identities } = scaled
  const identity = identityFor(name)
  const events = createEventBus({ logger: silentLogger })
  const { backend } = await createSimDisk()
  const index = createIndexDb(backend, {
    clock,
    random,
    logger: silentLogger,
    probe: async () => {},
  })
  const blobs = createSizedBlobStore({ clock, sizes })
  const isConnected = (a: NodeName, b: NodeName) =>
    hub.areConnected(identityFor(a).peerId, identityFor(b).peerId)
  const peers = neighboursOf(topology, name).map((other) => identityFor(other).peerId)
  const own = { self: name, identity, index, blobs, events, clock, random, logger: silentLogger }
  const store = await openContentStore(
    {
      ...own,
      realm: topology.realm,
      tagsMayMove: (repository) => tagsMayMove(topology, repository),
      linkFiles: NO_LINK_FILES,
    },
    { sparse: 'refuse', graces: GRACES },
  )
  const core = await createCore(
    {
      ...own,
      topology,
      store,
      uploads: createUploadSessions({ blobs, index, clock }, NO_UPLOADS),
      network: hub.network(identity.peerId, peers),
      neighbours: createNeighbours({ topology, self: name, clock }),
      source: createScaleSource({ ...deps, topology, self: name, isConnected }, options),
      issueToken: () => TOKEN,
    },
    { workers: WORKERS, jobHistory: 0, graces: GRACES, endpoint: `http://${name}` },
  )

  function identityFor(node: NodeName) {
    const known = identities.get(node)
    if (known === undefined) throw new RangeError(`no node ${node}`)
    return known
  }

  return {
    name,
    core,
    events,
    push: async (repository, reference, { manifest, blobs: parts }) => {
      for (const digest of parts.keys()) {
        blobs.hold(digest)
        await core.content.linkBlob(repository, digest)
      }
      const { mediaType, bytes } = manifest
      await core.content.pushManifest({ repository, reference, mediaType, bytes })
    },
  }
}

/** As long as a real one. */
const TOKEN = 'x'.repeat(43)
