/** A real node: the core over disk, libp2p and HTTP, built in the order of the layers and closed in reverse. */
import { join } from 'node:path'
import { createAccess } from '../access/create-access.ts'
import { createEventBus } from '../events/event-bus.ts'
import { greetAll } from '../gossip/greet-all.ts'
import { createLibp2pNetwork } from '../gossip/libp2p-network.ts'
import { systemClock } from '../lib/clock.ts'
import { createLogger } from '../lib/logger.ts'
import { systemRandom } from '../lib/random.ts'
import { createNeighbours } from '../peers/neighbours.ts'
import type { PeerId } from '../record/peer-id.ts'
import { prepareAdoption } from '../storage/adoption.ts'
import { openDiskBlobStore } from '../storage/disk-blob-store.ts'
import { createDiskLinkFiles } from '../storage/disk-link-files.ts'
import { openIndexDb } from '../storage/index-db.ts'
import { createReserve, keepingReserve, reservePath } from '../storage/reserve.ts'
import { withSmallContent } from '../storage/small-content.ts'
import { createUploadSessions } from '../storage/upload-sessions.ts'
import { flow, neighboursOf } from '../topology/flow.ts'
import { isInTopology } from '../topology/own-names.ts'
import type { Topology } from '../topology/topology.ts'
import { createRegistryClient } from '../transfer/registry-client.ts'
import { startAdopting } from './adopting.ts'
import { createBlobPermit } from './blob-permit.ts'
import type { NodeConfig } from './config.ts'
import { type Core, createCore } from './core.ts'
import { makeDataDirectory } from './data-directory.ts'
import { warnOfFileLimit } from './file-limit.ts'
import { createHttpApp } from './http-app.ts'
import { listenHttp } from './http-server.ts'
import { loadOwnIdentity } from './identity-file.ts'
import { createLoopWatch } from './loop-watch.ts'
import { startReaders } from './reader-pool.ts'
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

/**
 * `signal`: the node is not wanted any more. Adoption may take hours, and is gone on with at the next start.
 * @throws EntrepotError with what to do, when something of the machine or the files is not as it must be; the signal's reason
 */
export async function createNode(
  config: NodeConfig,
  topology: Topology,
  { signal }: { readonly signal: AbortSignal },
): Promise<MeshNode> {
  const { node: self, dataDirectory } = config
  await using building = new AsyncDisposableStack()
  const clock = systemClock
  const random = systemRandom
  const logger = createLogger({ node: self }, { logLevel: config.logLevel })
  const events = createEventBus({ logger })

  await makeDataDirectory(dataDirectory)
  const identity = await loadOwnIdentity(config.identityFile, topology, self)
  const indexDirectory = join(dataDirectory, 'entrepot', 'index')
  const storageLogger = logger.child({ room: 'storage' })
  const reserve = building.use(
    createReserve({ clock, logger: storageLogger }, { path: reservePath(indexDirectory) }),
  )
  const index = building.use(
    await openIndexDb(indexDirectory, { clock, random, logger: storageLogger, reserve }),
  )
  reserve.start()
  const store = withSmallContent(await openDiskBlobStore({ directory: dataDirectory }))
  const blobs = keepingReserve(store, reserve)
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
        makeRoom: reserve.makeRoom,
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
        readBackMs: config.bounds.readBack,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(tls === undefined ? {} : { fingerprints: () => [tls.pair().fingerprint] }),
      },
    ),
  )

  const adopting = building.use(
    startAdopting(
      {
        ...core,
        directory: dataDirectory,
        index,
        blobs,
        events,
        clock,
        logger,
      },
      { mustAdopt, signal },
    ),
  )
  const registryLogger = logger.child({ room: 'registry' })
  const stopping = new AbortController()
  await warnOfFileLimit(registryLogger, config.bounds)
  const loop = createLoopWatch({ clock, logger: registryLogger }, config.bounds)
  building.defer(() => loop.close())
  const app = createHttpApp(
    {
      core,
      topology,
      self,
      identity,
      index,
      blobs,
      uploads,
      neighbours,
      access,
      isReady: core.isReady,
      isLate: loop.isStillLate,
      stopping: stopping.signal,
      events,
      clock,
      logger,
    },
    config,
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
              permit: createBlobPermit({ ...core, access, blobs }),
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

  await adopting.over()
  signal.throwIfAborted()
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
