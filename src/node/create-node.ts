/** A real node: terms over what the node keeps, the HTTP server before them, built in the order of the layers and closed in reverse. */
import { join } from 'node:path'
import { createLiveStreams } from '../admin/live-streams.ts'
import { createMetrics } from '../admin/metrics.ts'
import { greetAll } from '../gossip/greet-all.ts'
import type { Logger } from '../lib/logger.ts'
import type { PeerId } from '../record/peer-id.ts'
import { tagsMayMove } from '../topology/origins.ts'
import type { NodeConfig } from './config.ts'
import { makeDataDirectory } from './data-directory.ts'
import { warnOfFileLimit } from './file-limit.ts'
import { type Foundation, openFoundation } from './foundation.ts'
import { listenHttp } from './http-server.ts'
import { loadIdentity, loadOwnIdentity } from './identity-file.ts'
import { createLoopWatch } from './loop-watch.ts'
import { whyKeyless, whyRestart, whyUnfit } from './membership.ts'
import { startReaders } from './reader-pool.ts'
import { openTerm } from './term.ts'
import { openTerms, type Terms } from './terms.ts'
import { createTopologyChanges, type TopologyChanges } from './topology-changes.ts'
import type { TopologyFiles } from './topology-files.ts'
import type { StartTopology } from './topology-start.ts'

export interface MeshNode extends AsyncDisposable {
  /** Base URL of the registry, with the port that it really listens on. */
  readonly url: string
  readonly peerId: PeerId
  readonly meshAddresses: readonly string[]
  /** The operator's word that another file shall run. */
  readonly reload: TopologyChanges['reload']
  /** See Terms. */
  readonly lost: Terms['lost']
  /** Lets requests under way end, for at most `ms` milliseconds. */
  drain(ms: number): Promise<void>
}

/** So long those who are connected are given a new topology before this node runs it, milliseconds. */
const OFFER_MS = 2_000

/**
 * `signal`: the node is not wanted any more. Adoption may take hours, and is gone on with at the next start.
 * @throws EntrepotError with what to do, when something of the machine or the files is not as it must be; the signal's reason
 */
export async function createNode(
  config: NodeConfig,
  start: StartTopology,
  { files, signal }: { readonly files: TopologyFiles; readonly signal: AbortSignal },
): Promise<MeshNode> {
  const { node: self, dataDirectory } = config
  await using building = new AsyncDisposableStack()
  await makeDataDirectory(dataDirectory)
  const { topology } = start.running
  // A node that was taken out of the mesh goes on serving what it has.
  const identity = topology.nodes.has(self)
    ? await loadOwnIdentity(config.identityFile, topology, self)
    : await loadIdentity(config.identityFile)
  const foundation: Foundation = building.use(
    await openFoundation({
      config,
      identity,
      realm: topology.realm,
      tagsMayMove: (repository) => tagsMayMove(terms.current().topology, repository),
    }),
  )
  const { store, tls, events, clock, random, logger } = foundation
  const { peerId } = identity
  const registryLogger = logger.child({ room: 'registry' })
  const nodeLogger = logger.child({ room: 'node' })
  const stopping = new AbortController()
  await warnOfFileLimit(registryLogger, config.bounds)
  const loop = createLoopWatch({ clock, logger: registryLogger }, config.bounds)
  building.defer(() => loop.close())
  const metrics = createMetrics({
    events,
    status: () => terms.current().status(),
    convergence: () => terms.current().convergence(),
  })
  tellStart(start, files, nodeLogger)
  const changes = createTopologyChanges(
    {
      files,
      unfit: (next) => whyUnfit(config, next) ?? whyKeyless({ self, peerId }, next),
      replace: async (next, onNotRun) => {
        const before = terms.current().topology
        await terms.replace(next, onNotRun)
        const reason = whyRestart(self, before, next)
        if (reason !== undefined) nodeLogger.warn({ reason }, 'the node has to be restarted')
      },
      offer: () => terms.current().exchange.offerAll(OFFER_MS),
      events,
      clock,
      logger: nodeLogger,
    },
    start.running,
  )
  const ofTerms = {
    foundation,
    changes,
    former: files.list,
    isLate: loop.isStillLate,
    streams: createLiveStreams({ events, clock, random, stopping: stopping.signal }),
    metrics,
  }
  const terms: Terms = building.use(
    await openTerms(
      {
        self,
        topology,
        open: (next, options) => openTerm({ ...ofTerms, topology: next }, options),
        clock,
        random,
        logger,
      },
      { mustAdopt: foundation.mustAdopt, signal },
    ),
  )
  building.defer(changes.close)
  const { app } = terms
  const http = await listenHttp(
    { app, clock, logger: nodeLogger, tls },
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
              app,
              permit: (ask) => terms.current().permit(ask),
              damage: store.damage,
              clock,
              logger: nodeLogger,
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
  tls?.onChange(() => {
    const { core, neighbours } = terms.current()
    greetAll({ greeter: core.greeter, neighbours, logger: nodeLogger })
  })

  await terms.start()
  changes.open()
  const meshAddresses = terms.current().network.addresses()
  logger.info({ peerId, port: http.port, mesh: meshAddresses }, 'node is up')

  const parts = building.move()
  const host = config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${http.port}`,
    peerId,
    meshAddresses,
    reload: changes.reload,
    lost: terms.lost,
    drain: async (ms) => {
      // Live streams never end by themselves: their readers are told, and connect to another node or later.
      stopping.abort()
      const over = new AbortController()
      const timeUp = clock.sleep(ms, { signal: over.signal }).catch(() => {})
      await Promise.race([
        Promise.all([http.drain(), readers?.drain(), store.links.settled()]),
        timeUp,
      ])
      over.abort()
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

function tellStart(
  { running, isAdopted, why, refusal }: StartTopology,
  { unreadable }: TopologyFiles,
  logger: Logger,
): void {
  for (const { path, reason } of unreadable) {
    logger.error({ path, reason }, 'a kept topology cannot be read and does not count, remove it')
  }
  const { generation } = running.topology
  const origin = isAdopted ? 'taken up while it ran' : 'the topology file'
  logger.info({ generation, origin, why }, 'topology of this start')
  if (refusal !== undefined) logger.error({ refusal }, 'the topology file does not run')
}
