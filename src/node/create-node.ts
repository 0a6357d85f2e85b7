/** A real node: the core over disk, libp2p and HTTP, built in the order of the layers and closed in reverse. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Hono } from 'hono'
import { createAccess } from '../access/create-access.ts'
import { createAdminApp } from '../admin/admin-app.ts'
import { createEventBus } from '../events/event-bus.ts'
import { greetAll } from '../gossip/greet-all.ts'
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
import { prepareAdoption } from '../storage/adoption.ts'
import { openDiskBlobStore } from '../storage/disk-blob-store.ts'
import { createDiskLinkFiles } from '../storage/disk-link-files.ts'
import { openIndexDb } from '../storage/index-db.ts'
import { withSmallContent } from '../storage/small-content.ts'
import { createUploadSessions } from '../storage/upload-sessions.ts'
import { flow, neighboursOf } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { createRegistryClient } from '../transfer/registry-client.ts'
import { startAdopting } from './adopting.ts'
import { createBlobPermit } from './blob-permit.ts'
import type { NodeConfig } from './config.ts'
import { type Core, createCore } from './core.ts'
import { warnOfFileLimit } from './file-limit.ts'
import { listenHttp } from './http-server.ts'
import { loadIdentity } from './identity-file.ts'
import { createLoopWatch } from './loop-watch.ts'
import { startReaders } from './reader-pool.ts'
import { createStatus } from './status.ts'
import { openTlsFiles } from './tls-files.ts'
import { openTrust } from './trust.ts'

export interface MeshNode extends AsyncDisposable {
  /** Base URL of the registry, with the port that it really listens on. */
  readonly url: string
  readonly peerId: PeerId
  readonly meshAddresses: readonly string[]
  /** Lets requests under way end, for at most `ms` milliseconds. */
  drain(ms: number): Promise<void>
}

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
  const index = building.use(
    await openIndexDb(join(dataDirectory, 'entrepot', 'index'), {
      clock,
      random,
      logger: logger.child({ room: 'storage' }),
    }),
  )
  const blobs = withSmallContent(await openDiskBlobStore({ directory: dataDirectory }))
  const linkFiles = createDiskLinkFiles({ directory: dataDirectory })
  const uploads = createUploadSessions({ blobs, index, clock }, config.bounds)
  const neighbours = createNeighbours({ topology, self, clock })
  const access = createAccess(
    {
      nodeMayRead: (node, repository) => flow(topology, self, node).reads(repository),
      random,
    },
    { anonymous: config.anonymous },
  )
  const tlsLogger = logger.child({ room: 'node' })
  const tls =
    config.tls && building.use(await openTlsFiles(config.tls, { clock, logger: tlsLogger }))
  const trust = building.use(await openTrust(config.tlsCa, { clock, logger: tlsLogger }))
  const source = building.use(
    createRegistryClient({
      connect: neighbours.endpointOf,
      greetAgain: (node) => core.greeter.again(node),
      trust: trust.context,
    }),
  )
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
  const mustAdopt = await prepareAdoption(index)
  const core: Core = building.use(
    await createCore(
      {
        topology,
        self,
        identity,
        index,
        blobs,
        linkFiles,
        uploads,
        network,
        neighbours,
        source,
        issueToken: access.issueToken,
        events,
        clock,
        random,
        logger,
      },
      {
        workers: config.workers,
        sparse: config.sparse,
        graces: config.graces,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(tls === undefined ? {} : { fingerprints: () => [tls.pair().fingerprint] }),
      },
    ),
  )

  const adopting = mustAdopt
    ? building.use(startAdopting({ ...core, directory: dataDirectory, index, blobs, logger }))
    : undefined
  const isReady = () => core.isReady() && adopting?.isOver() !== false
  const status = createStatus({
    ...core,
    isReady,
    topology,
    self,
    identity,
    neighbours,
    events,
    clock,
  })
  const app = new Hono()
  const registryLogger = logger.child({ room: 'registry' })
  const names = new Set([...endpointNames(topology), ...config.names])
  const refusal = (repository: RepositoryName) => refuseWriting(topology, self, repository)
  const stopping = new AbortController()
  await warnOfFileLimit(registryLogger, config.bounds)
  const loop = createLoopWatch({ clock, logger: registryLogger }, config.bounds)
  building.defer(() => loop.close())
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
      leases: core.leases,
      damage: core.damage,
      access,
      refusal,
      isOwnName: (name) => names.has(name),
      isLate: loop.isLate,
      maxManifestBytes: config.bounds.manifestBytes,
      logger: registryLogger,
    }) as never,
  )
  const http = await listenHttp(
    { app: app as never, clock, logger: tlsLogger, tls },
    {
      ...config.listen,
      bounds: config.bounds,
      ...(config.readers === 0 ? {} : { sharing: 'first' as const }),
    },
  )
  building.defer(() => http.close())
  const readers =
    config.readers === 0
      ? undefined
      : building.use(
          await startReaders(
            {
              app: app as never,
              permit: createBlobPermit({
                access,
                blobs,
                content: core.content,
                leases: core.leases,
              }),
              damage: core.damage,
              clock,
              logger: tlsLogger,
              tls,
            },
            {
              count: config.readers,
              directory: join(dataDirectory, 'entrepot'),
              node: self,
              listen: { ...config.listen, port: http.port },
              bounds: config.bounds,
              logLevel: config.logLevel,
            },
          ),
        )
  tls?.onChange(() => greetAll({ greeter: core.greeter, neighbours, logger: tlsLogger }))

  await core.start()
  logger.info({ peerId: identity.peerId, port: http.port, mesh: network.addresses() }, 'node is up')

  const parts = building.move()
  const host = config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${http.port}`,
    peerId: identity.peerId,
    meshAddresses: network.addresses(),
    drain: async (ms) => {
      // Live streams never end by themselves: their readers are told, and connect to another node or later.
      stopping.abort()
      const over = new AbortController()
      const timeUp = clock.sleep(ms, { signal: over.signal }).catch(() => {})
      await Promise.race([
        Promise.all([http.drain(), readers?.drain(), core.links.settled()]),
        timeUp,
      ])
      over.abort()
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
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

/** `host[:port]` of the mesh's endpoints: names under which clients know it. */
function endpointNames(topology: Topology): readonly string[] {
  const endpoints = [...topology.nodes.values()].map(({ endpoint }) => endpoint)
  return endpoints.flatMap((url) => (url === undefined ? [] : [new URL(url).host]))
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
