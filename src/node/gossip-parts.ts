/** The gossip room of a node, put together: news, feeds, audits, hellos, and the reading back of what this node signed. */
import { createAdmission } from '../gossip/admission.ts'
import { type Announcer, createAnnouncer } from '../gossip/announcer.ts'
import { createAuditReader } from '../gossip/audit-reader.ts'
import { createAuditServer } from '../gossip/audit-server.ts'
import { createAuditor } from '../gossip/auditor.ts'
import { createFeedReader, type FeedReader } from '../gossip/feed-reader.ts'
import { createFeedServer } from '../gossip/feed-server.ts'
import { createHello, type Greeter, type HelloDeps } from '../gossip/hello.ts'
import { createListener } from '../gossip/listener.ts'
import { createPeerLimits, limitNetwork } from '../gossip/peer-limits.ts'
import { createReadBack, type ReadBack } from '../gossip/read-back.ts'
import { createReceiver, type Receiver, type ReceiverDeps } from '../gossip/receiver.ts'
import { unparkInTime } from '../gossip/unpark.ts'
import { createMeshTime, type MeshTime } from '../peers/mesh-time.ts'
import type { Reading } from '../peers/reading.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { flow, type Naming, sourcesOf } from '../topology/flow.ts'
import { topicsOf } from '../topology/groups.ts'
import type { NodeName } from '../topology/topology.ts'

export interface GossipPartsDeps
  extends Omit<HelloDeps, 'self'>,
    Omit<ReceiverDeps, 'admission' | 'onInvalid'> {
  readonly self: NodeName
  readonly peerId: PeerId
  readonly naming: Naming
  readonly reading: Reading
  /** Looks again at a key that is known here and not held as it says. */
  readonly consider: (key: RecordKey) => void
}

export interface GossipPartsOptions {
  /** Base URL of this node's registry, for neighbours whose file does not say. */
  readonly endpoint?: string
  /** Of the keys that this node's registry serves now. */
  readonly fingerprints?: () => readonly string[]
  /** So long a starting writer waits for neighbours that do not answer, milliseconds. */
  readonly readBackMs?: number
  /**
   * A writer read back what it signed before, but for these neighbours: they are left to read. Undefined for a node that has
   * just started, or wrote nothing till now: it reads all.
   */
  readonly unreadBefore?: readonly NodeName[] | undefined
  /** Between two audits with one neighbour, milliseconds. */
  readonly auditMs?: number
}

export interface GossipParts extends AsyncDisposable {
  readonly receiver: Receiver
  readonly announcer: Announcer
  readonly feedReader: FeedReader
  readonly greeter: Greeter
  readonly readBack: ReadBack
  readonly meshTime: MeshTime
  /** Whether this node may sign now: its clock is right, and it has read back what it signed before. */
  readonly signing: Pick<ReadBack, 'pass'>
  /** Parked records are looked at, from now on in time. */
  start(): Promise<void>
}

export function createGossipParts(
  given: GossipPartsDeps,
  { readBackMs, unreadBefore, auditMs, ...served }: GossipPartsOptions,
): GossipParts {
  const { topology, self, peerId, ledger, clock, logger } = given
  const building = new AsyncDisposableStack()
  const limits = createPeerLimits(given)
  const deps = { ...given, network: limitNetwork(given.network, limits) }
  const meshTime = createMeshTime({ ...deps, measure: (node) => greeter.again(node) })
  const admission = createAdmission({ ...deps, meshTime })
  const gossip = { ...deps, admission }
  const peerOf = (node: NodeName) => topology.nodes.get(node)?.peerId as PeerId | undefined
  const onInvalid = (node: NodeName, reason: string) => {
    const peer = peerOf(node)
    if (peer !== undefined) limits.offend(peer, reason)
  }
  const receiver = createReceiver({ ...gossip, onInvalid })
  const topics = topicsOf(topology, self)
  const announcer = building.use(createAnnouncer({ ...deps, topics }))
  createListener({ ...gossip, topics, receiver })
  createFeedServer(deps)
  createAuditServer(deps)
  const filterFrom = (node: NodeName) => flow(topology, node, self)
  const writes = topology.origins.some(({ writers }) => writers.includes(self))
  const sources = (writes ? sourcesOf(topology, self) : []).filter(
    (node) => unreadBefore?.includes(node) !== false,
  )
  const readBack = building.use(createReadBack({ ...deps, sources }, { waitMs: readBackMs }))
  const reading = { ...gossip, filterFrom, receiver }
  const auditor = building.use(
    createAuditor(
      {
        ...deps,
        ...createAuditReader({ ...reading, onUnheld: deps.consider }),
        peerOf,
      },
      { everyMs: auditMs },
    ),
  )
  const feedReader = building.use(
    createFeedReader({
      ...reading,
      onRead: (node, progress) => {
        deps.reading.read(node, progress)
        readBack.onRead(node, progress)
        auditor.onRead(node, progress)
      },
    }),
  )
  const stop = new AbortController()
  building.defer(() => stop.abort())
  const greeter = createHello({ ...deps, self: { peerId, epoch: ledger.epoch, ...served } })
  return {
    receiver,
    announcer,
    feedReader,
    greeter,
    readBack,
    meshTime,
    signing: { pass: async () => (await meshTime.check()) ?? readBack.pass() },
    start: async () => {
      await receiver.openPark()
      void unparkInTime({ receiver, meshTime, events: given.events, clock, logger }, stop.signal)
    },
    [Symbol.asyncDispose]: () => building.disposeAsync(),
  }
}
