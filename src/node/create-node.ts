/** A real node: the core over disk, libp2p and HTTP, built in the order of the layers and closed in reverse. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Hono } from 'hono'
import { createAccess } from '../access/create-access.ts'
import { createAdminApp } from '../admin/admin-app.ts'
import { createEventBus } from '../events/event-bus.ts'
import { createLibp2pNetwork } from '../gossip/libp2p-network.ts'
import { systemClock } from '../lib/clock.ts'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'
import { createLogger } from '../lib/logger.ts'
import { systemRandom } from '../lib/random.ts'
import type { RepositoryName } from '../oci/name.ts'
import { createNeighbours } from '../peers/neighbours.ts'
import type { Identity } from '../record/identity.ts'
import type { PeerId } from '../record/peer-id.ts'
import { createRegistryApp } from '../registry/registry-app.ts'
import { openDiskBlobStore } from '../storage/disk-blob-store.ts'
import { createDiskLinkFiles } from '../storage/disk-link-files.ts'
import { openIndexDb } from '../storage/index-db.ts'
import { createUploadSessions } from '../storage/upload-sessions.ts'
import { flow, neighboursOf } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { createRegistryClient } from '../transfer/registry-client.ts'
import type { NodeConfig } from './config.ts'
import { createCore } from './core.ts'
import { listenHttp } from './http-server.ts'
import { loadIdentity } from './identity-file.ts'
import { createStatus } from './status.ts'

export interface MeshNode extends AsyncDisposable {
  /** Base URL of the registry, with the port that it really listens on. */
  readonly url: string
  readonly peerId: PeerId
  readonly meshAddresses: readonly string[]
  /** Lets requests under way end, for at most `ms` milliseconds. */
  drain(ms: number): Promise<void>
}

/** Uploads without a byte for so long are removed, milliseconds: a client that pauses a night may go on. */
const UPLOAD_IDLE_MS = 24 * 3_600_000
const EXPIRE_EVERY_MS = 3_600_000

/** @throws EntrepotError with what to do, when something of the machine or the files is not as it must be. */
export async function createNode(config: NodeConfig, topology: Topology): Promise<MeshNode> {
  const { node: self, dataDirectory } = config
  await using building = new AsyncDisposableStack()
  const clock = systemClock
  const random = systemRandom
  const logger = createLogger({ node: self }, { logLevel: config.logLevel })
  const events = createEventBus({ logger })

  await makeDataDirectory(dataDirectory)
  const identity = await loadOwnIdentity(config, topology)
  const index = building.use(await openIndexDb(join(dataDirectory, 'entrepot', 'index')))
  const blobs = await openDiskBlobStore({ directory: dataDirectory })
  const linkFiles = createDiskLinkFiles({ directory: dataDirectory })
  const neighbours = createNeighbours({ topology, self, clock })
  const access = createAccess(
    {
      nodeMayRead: (node, repository) => flow(topology, self, node).reads(repository),
      random,
    },
    { anonymous: config.anonymous },
  )
  const source = building.use(createRegistryClient({ connect: neighbours.endpointOf }))
  const network = building.use(
    await createLibp2pNetwork(
      {
        identity,
        isAllowed: isInTopology(topology),
        neighbours: neighboursOf(topology, self).flatMap((name) => {
          const { peerId, mesh } = topology.nodes.get(name) ?? {}
          return peerId === undefined ? [] : [{ peerId: peerId as PeerId, address: mesh }]
        }),
        clock,
        random,
        logger: logger.child({ room: 'gossip' }),
      },
      { listen: config.meshListen },
    ),
  )
  network.onStranger((peerId, address) => {
    logger.warn({ peerId, address }, 'stranger cut off: its peer id is not in the topology')
    events.emit({ kind: 'stranger-refused', peerId, address })
  })
  const { endpoint } = topology.nodes.get(self) ?? {}
  const core = building.use(
    await createCore(
      {
        topology,
        self,
        identity,
        index,
        blobs,
        linkFiles,
        network,
        neighbours,
        source,
        issueToken: access.issueToken,
        events,
        clock,
        random,
        logger,
      },
      { workers: config.workers, ...(endpoint === undefined ? {} : { endpoint }) },
    ),
  )
  const uploads = createUploadSessions({ blobs, index, clock })

  const status = createStatus({ ...core, topology, self, identity, neighbours, events, clock })
  const app = new Hono()
  const registryLogger = logger.child({ room: 'registry' })
  const refusal = (repository: RepositoryName) => refuseWriting(topology, self, repository)
  const stopping = new AbortController()
  app.route(
    '/',
    createAdminApp({
      stopping: stopping.signal,
      ...core,
      access,
      status,
      topology,
      events,
      clock,
      logger,
    }) as never,
  )
  app.route(
    '/',
    createRegistryApp({
      content: core.content,
      blobs,
      uploads,
      access,
      refusal,
      logger: registryLogger,
    }) as never,
  )
  const http = await listenHttp(app as never, config.listen)
  building.defer(() => http.close())

  await core.start()
  const stop = new AbortController()
  building.defer(() => stop.abort())
  void expireUploads(stop.signal)
  logger.info({ peerId: identity.peerId, port: http.port, mesh: network.addresses() }, 'node is up')

  const parts = building.move()
  const host = config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host
  return {
    url: `http://${host}:${http.port}`,
    peerId: identity.peerId,
    meshAddresses: network.addresses(),
    drain: async (ms) => {
      // Live streams never end by themselves: their readers are told, and connect to another node or later.
      stopping.abort()
      const over = new AbortController()
      const timeUp = clock.sleep(ms, { signal: over.signal }).catch(() => {})
      await Promise.race([Promise.all([http.drain(), core.links.settled()]), timeUp])
      over.abort()
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }

  async function expireUploads(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await uploads
        .expire(UPLOAD_IDLE_MS)
        .catch((err: unknown) => logger.warn({ err }, 'uploads not expired'))
      await clock.sleep(EXPIRE_EVERY_MS, { signal }).catch(() => {})
    }
  }
}

async function makeDataDirectory(directory: string): Promise<void> {
  try {
    await mkdir(join(directory, 'entrepot'), { recursive: true, mode: 0o700 })
  } catch (cause) {
    const why =
      codeOf(cause) === 'EACCES' || codeOf(cause) === 'EROFS'
        ? 'it is not writable'
        : messageOf(cause)
    const message = `cannot use the data directory ${directory}: ${why}. Give another --data, or change its owner`
    throw new EntrepotError('DATA_NOT_WRITABLE', message, { cause })
  }
}

/** @throws IDENTITY_FOREIGN when the topology says that the node has another key. */
async function loadOwnIdentity(
  { node, identityFile }: NodeConfig,
  topology: Topology,
): Promise<Identity> {
  const identity = await loadIdentity(identityFile)
  const expected = topology.nodes.get(node)?.peerId
  if (expected === identity.peerId) return identity
  const message =
    expected === undefined
      ? `the topology gives node ${node} no peerId; write there: peerId: ${identity.peerId}`
      : `node ${node} has peerId ${expected} in the topology, the key in ${identityFile} is ${identity.peerId}`
  throw new EntrepotError('IDENTITY_FOREIGN', message)
}

function isInTopology(topology: Topology): (peerId: string) => boolean {
  const known = new Set([...topology.nodes.values()].map(({ peerId }) => peerId))
  return (peerId) => known.has(peerId)
}

/** Why this node may not write a repository, with who may; undefined where it may. */
function refuseWriting(
  topology: Topology,
  self: NodeName,
  repository: RepositoryName,
): string | undefined {
  const writers = writersOf(topology, repository)
  if (writers.includes(self)) return undefined
  if (writers.length === 0)
    return `no node of this mesh may write ${repository}: no entry of origins matches it`
  const names = writers.map((name) => {
    const endpoint = topology.nodes.get(name)?.endpoint
    return endpoint === undefined ? name : `${name} (${endpoint})`
  })
  return `node ${self} does not accept pushes to ${repository}; push to ${names.join(' or ')}`
}
