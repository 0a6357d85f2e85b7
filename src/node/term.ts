/**
 * A term: everything of a node that comes of one topology, built over what the node keeps. When another topology is to
 * hold, the term is closed and the next one opened; nothing in it outlives it but what is on disk.
 */
import { createAccess } from '../access/create-access.ts'
import type { TopologyStateView } from '../admin/topology-view.ts'
import { createBusScope } from '../events/bus-scope.ts'
import { createLibp2pNetwork } from '../gossip/libp2p-network.ts'
import { membersOnly } from '../gossip/members-network.ts'
import type { Network } from '../gossip/network.ts'
import { createTopologyExchange, type TopologyExchange } from '../gossip/topology-exchange.ts'
import { createNeighbours, type Neighbours } from '../peers/neighbours.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { Elsewhere } from '../registry/elsewhere.ts'
import { flow, neighboursOf } from '../topology/flow.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { createRegistryClient } from '../transfer/registry-client.ts'
import { startAdopting } from './adopting.ts'
import { createBlobPermit } from './blob-permit.ts'
import type { App } from './change-gate.ts'
import { type Core, createCore } from './core.ts'
import type { Foundation } from './foundation.ts'
import { createHttpApp, type HttpAppDeps } from './http-app.ts'
import { type Membership, membershipOf } from './membership.ts'
import { createMeshAccount, type MeshAccount } from './mesh-account.ts'
import { createPushElsewhere } from './push-elsewhere.ts'
import { createStatus } from './status.ts'
import type { TopologyChanges } from './topology-changes.ts'
import type { KeptTopology } from './topology-files.ts'

export interface Term extends AsyncDisposable {
  readonly topology: Topology
  readonly app: App
  readonly core: Core
  readonly network: Network
  readonly neighbours: Neighbours
  readonly exchange: TopologyExchange
  readonly permit: ReturnType<typeof createBlobPermit>
  readonly status: HttpAppDeps['status']
  readonly convergence: MeshAccount['convergence']
  /** Joins the mesh, when what is on disk was looked at; resolves then. */
  start(): Promise<void>
}

export interface TermDeps extends Pick<HttpAppDeps, 'isLate' | 'streams' | 'metrics'> {
  readonly foundation: Foundation
  readonly topology: Topology
  readonly changes: Pick<
    TopologyChanges,
    'running' | 'above' | 'rejected' | 'sealed' | 'apply' | 'takeFiles'
  >
  /** Topologies that this node ran before. */
  readonly former: () => readonly KeptTopology[]
}

export interface TermOptions {
  /** Of a node that has just started: what is on disk may not be in its index. */
  readonly mustAdopt: boolean
  /** See GossipPartsOptions. */
  readonly unreadBefore?: readonly NodeName[] | undefined
  /** The node is not wanted any more: adoption may take hours, and is gone on with at the next start. */
  readonly signal: AbortSignal
}

export async function openTerm(deps: TermDeps, options: TermOptions): Promise<Term> {
  const { foundation, topology } = deps
  const {
    config,
    self,
    identity,
    store,
    tls,
    trust,
    events: bus,
    clock,
    random,
    logger,
  } = foundation
  await using building = new AsyncDisposableStack()
  const events = building.use(createBusScope(bus))
  const neighbours = createNeighbours({ topology, self, clock })
  const access = createAccess(
    {
      nodeMayRead: (node, repository) => flow(topology, self, node).reads(repository),
      random,
    },
    { anonymous: config.anonymous },
  )
  const source = building.use(
    createRegistryClient({
      connect: neighbours.endpointOf,
      greetAgain: (node) => core.greeter.again(node),
      trust: trust.context,
    }),
  )
  const membership = membershipOf(topology, { self, peerId: identity.peerId }, deps.former())
  const { outside, isMember } = membership
  const wire = building.use(await openNetwork(foundation, membership))
  const exchange = building.use(
    createTopologyExchange({
      network: wire,
      realm: topology.realm,
      generation: deps.changes.above,
      sealed: deps.changes.sealed,
      onFiles: (files, peer) => deps.changes.takeFiles(files, nodeOfPeer(topology, peer) ?? peer),
      clock,
      random,
      logger: logger.child({ room: 'gossip' }),
    }),
  )
  const network = membersOnly(wire, isMember)
  network.onStranger((peerId, address) => {
    logger.warn({ peerId, address }, 'stranger cut off: its peer id is not in the topology')
    events.emit({ kind: 'stranger-refused', peerId, address })
  })
  const { endpoint } = topology.nodes.get(self) ?? {}
  const facts = { ...foundation, events, topology, network, neighbours }
  const core: Core = building.use(
    await createCore(
      { ...facts, source, issueToken: access.issueToken },
      {
        workers: config.workers,
        graces: config.graces,
        readBackMs: config.bounds.readBack,
        jobHistory: config.bounds.jobHistory,
        unreadBefore: options.unreadBefore,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(tls === undefined ? {} : { fingerprints: () => [tls.pair().fingerprint] }),
      },
    ),
  )
  const adopting = building.use(
    startAdopting({ ...facts, ...core, directory: config.dataDirectory }, options),
  )
  const pushElsewhere = building.use(
    createPushElsewhere(
      { ...facts, greetAgain: core.greeter.again },
      {
        anonymous: config.anonymous,
        maxRequests: config.bounds.passedOn,
        scheme: tls === undefined ? 'http' : 'https',
      },
    ),
  )
  const elsewhere: Elsewhere =
    outside === undefined ? pushElsewhere : { ...pushElsewhere, wayOf: () => undefined }
  const topologyState = () => stateOf(deps.changes, outside)
  const status = createStatus({ ...facts, ...core, topologyState })
  const account = createMeshAccount({ ...facts, ...core })
  // Live streams go on when the term ends: they hear the node, not the term.
  const served = { ...facts, ...deps, events: bus, core, access, elsewhere, status, account }
  const app = createHttpApp(
    {
      ...served,
      outside,
      topologyState,
      topologyFile: () => {
        const { text, sealed } = deps.changes.running()
        return { text, signer: sealed?.signer }
      },
      applyTopology: deps.changes.apply,
    },
    config,
  )
  const parts = building.move()
  return {
    topology,
    app,
    core,
    network,
    neighbours,
    exchange,
    permit: createBlobPermit({ ...store, access, blobs: foundation.blobs }),
    status,
    convergence: account.convergence,
    start: async () => {
      await adopting.over()
      options.signal.throwIfAborted()
      await core.start()
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

function stateOf(
  { running, rejected }: TermDeps['changes'],
  outside: string | undefined,
): TopologyStateView {
  const last = rejected()
  return {
    isSigned: running().sealed !== undefined,
    ...(last === undefined ? {} : { rejected: last }),
    ...(outside === undefined ? {} : { outside }),
  }
}

function openNetwork(
  { identity, self, config, clock, random, logger }: Foundation,
  { isAllowed, isMember, contacts }: Membership,
): Promise<Network> {
  return createLibp2pNetwork(
    {
      identity,
      isAllowed,
      isMember,
      neighbours: neighboursOf(contacts, self).flatMap((name) => {
        const { peerId, mesh } = contacts.nodes.get(name) ?? {}
        return peerId === undefined ? [] : [{ peerId: peerId as PeerId, address: mesh }]
      }),
      clock,
      random,
      logger: logger.child({ room: 'gossip' }),
    },
    { listen: config.meshListen },
  )
}
