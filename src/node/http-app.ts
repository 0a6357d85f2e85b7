/** What a node answers over HTTP: the administration and the registry, over the parts of its core. */
import { Hono } from 'hono'
import type { Access } from '../access/access.ts'
import { createAdminApp } from '../admin/admin-app.ts'
import type { LiveStreams } from '../admin/live-streams.ts'
import type { TopologyRoutesDeps } from '../admin/topology-routes.ts'
import type { StatusView } from '../admin/views.ts'
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { Identity } from '../record/identity.ts'
import type { Elsewhere } from '../registry/elsewhere.ts'
import { createRegistryApp } from '../registry/registry-app.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { IndexDb } from '../storage/index-db.ts'
import type { UploadSessions } from '../storage/upload-sessions.ts'
import { refuseWriting } from '../topology/origins.ts'
import { endpointNames } from '../topology/own-names.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { NodeConfig } from './config.ts'
import type { Core } from './core.ts'
import type { MeshAccount } from './mesh-account.ts'
import { signedChanges } from './signed-changes.ts'

export interface HttpAppDeps
  extends Pick<TopologyRoutesDeps, 'topologyState' | 'topologyFile' | 'applyTopology'> {
  readonly core: Core
  readonly topology: Topology
  readonly self: NodeName
  readonly identity: Identity
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly uploads: UploadSessions
  readonly neighbours: Neighbours
  readonly access: Access
  /** Why this node is no part of the topology. */
  readonly outside: string | undefined
  readonly elsewhere: Elsewhere
  readonly status: () => StatusView
  readonly account: MeshAccount
  /** In the text format of Prometheus. */
  readonly metrics: () => Promise<string>
  /** The event loop does not keep up, also after a moment. */
  readonly isLate: () => Promise<boolean>
  readonly streams: LiveStreams
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

export function createHttpApp(
  deps: HttpAppDeps,
  { names, bounds }: Pick<NodeConfig, 'names' | 'bounds'>,
): Hono {
  const { core, topology, self, logger } = deps
  const facts = { ...core, ...deps }
  const ownNames = new Set([...endpointNames(topology), ...names])
  const refusalOf = (repository: RepositoryName) =>
    deps.outside === undefined
      ? refuseWriting(topology, self, repository)
      : `${deps.outside}, so it takes no pushes`
  const app = new Hono()
  app.route('/', createAdminApp({ ...facts, ...deps.account }) as never)
  app.route(
    '/',
    createRegistryApp({
      ...facts,
      content: signedChanges(core.content, core.signing),
      refusal: refusalOf,
      unableToSign: core.meshTime.refusal,
      pulled: core.budget?.pulled,
      endpoint: topology.nodes.get(self)?.endpoint,
      isOwnName: (name) => ownNames.has(name),
      maxManifestBytes: bounds.manifestBytes,
      logger: logger.child({ room: 'registry' }),
    }) as never,
  )
  return app
}
