/** A node's gossip parts over memory, and connections that hand frames over without a wire. */
import { type Admission, createAdmission } from '../../../src/gossip/admission.ts'
import { AUDIT_PROTOCOL } from '../../../src/gossip/audit-codec.ts'
import { type AuditReader, createAuditReader } from '../../../src/gossip/audit-reader.ts'
import { createAuditServer } from '../../../src/gossip/audit-server.ts'
import { FEED_PROTOCOL } from '../../../src/gossip/feed-codec.ts'
import { createFeedReader, type FeedReader } from '../../../src/gossip/feed-reader.ts'
import { createFeedServer } from '../../../src/gossip/feed-server.ts'
import type { Channel, ChannelHandler } from '../../../src/gossip/network.ts'
import { createReceiver, type Receiver } from '../../../src/gossip/receiver.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { identityFromSeed } from '../../../src/record/identity.ts'
import { keyText, type RecordKey, type SignedRecord } from '../../../src/record/tag-record.ts'
import { tagsNaming } from '../../../src/storage/naming.ts'
import { flow, type Naming } from '../../../src/topology/flow.ts'
import type { NodeName, Topology } from '../../../src/topology/topology.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'
import { openStorage, type StorageRig, type StorageRigOptions } from '../../helpers/storage-rig.ts'
import { createWriter, type Writer } from '../../helpers/writers.ts'

export interface GossipNode extends StorageRig {
  readonly self: NodeName
  readonly naming: Naming
  readonly admission: Admission
  readonly receiver: Receiver
  readonly reader: FeedReader
  /** Signs with the key that the topology has for the node. */
  readonly author: Writer
  /** Adds records as if they had been pushed here. */
  know(...records: readonly SignedRecord[]): Promise<void>
  /** Frames that this node's readers sent, and what came back. */
  readonly exchanges: { readonly request: Uint8Array; readonly answer: Uint8Array }[]
  follow(other: GossipNode): void
  /** The same of audits. */
  readonly audits: { readonly request: Uint8Array; readonly answer: Uint8Array }[]
  audit(other: GossipNode): ReturnType<AuditReader['audit']>
  /** Keys that audits found known and not held. */
  readonly unheld: string[]
  /** Clocks of others that its feed reader measured, milliseconds. */
  readonly offsets: readonly (readonly [NodeName, number])[]
}

export interface Wire {
  readonly handlers: Map<string, ChannelHandler>
  isUp: boolean
}

export function nodeName(text: string): NodeName {
  return text as NodeName
}

/** The two ends share `wires`: handlers of each node by its peer id. */
export async function openGossipNode(
  topology: Topology,
  name: string,
  wires: Map<string, Wire>,
  options: StorageRigOptions & { readonly ownFile?: Topology } = {},
): Promise<GossipNode> {
  const rig = await openStorage(options)
  const { clock, index, ledger, events, logicalClock } = rig
  const self = nodeName(name)
  const random = systemRandom
  const logger = silentLogger
  const identity = identityFromSeed(Buffer.alloc(32, name))
  const naming: Naming = {
    tagsNaming: (repository, digest) => tagsNaming(index, repository, digest),
  }
  const admission = createAdmission({ topology, meshTime: clock, logicalClock })
  const receiver = createReceiver({ index, ledger, logicalClock, admission, events, logger })
  const wire: Wire = { handlers: new Map(), isUp: true }
  wires.set(identity.peerId, wire)
  const handle = (protocol: string, answer: ChannelHandler) =>
    void wire.handlers.set(protocol, answer)
  createFeedServer({ network: { handle }, topology, self, ledger, naming, clock })
  createAuditServer({ network: { handle }, topology, self, index, ledger, naming })
  const exchanges: { readonly request: Uint8Array; readonly answer: Uint8Array }[] = []
  const audits: typeof exchanges = []
  const unheld: string[] = []
  const offsets: (readonly [NodeName, number])[] = []

  const open = async (peer: string, protocol: string): Promise<Channel> => {
    const other = wires.get(peer)
    const closed = new AbortController()
    if (!other?.isUp) throw new Error('not connected')
    return {
      request: async (request, { signal } = {}) => {
        const handler = other.handlers.get(protocol)
        if (!other.isUp || handler === undefined) throw new Error('the connection broke')
        const over = signal ? AbortSignal.any([signal, closed.signal]) : closed.signal
        const answer = await handler(request, { peer: identity.peerId, signal: over })
        if (protocol === FEED_PROTOCOL) exchanges.push({ request, answer })
        if (protocol === AUDIT_PROTOCOL) audits.push({ request, answer })
        return answer
      },
      close: async () => closed.abort(),
    }
  }
  const filterFrom = (from: NodeName) => flow(options.ownFile ?? topology, from, self)
  const reading = { network: { open }, filterFrom, admission, receiver, index }
  const onUnheld = (key: RecordKey) => void unheld.push(keyText(key))
  const auditor = createAuditReader({ ...reading, naming, ledger, onUnheld })
  const reader = createFeedReader({
    ...reading,
    neighbours: { measured: (node, offsetMs) => void offsets.push([node, offsetMs]) },
    events,
    clock,
    random,
    logger,
  })
  return {
    ...rig,
    self,
    naming,
    admission,
    receiver,
    reader,
    exchanges,
    audits,
    unheld,
    offsets,
    audit: (other) =>
      auditor.audit(other.self, peerIdOfName(other.self), {
        signal: new AbortController().signal,
      }),
    author: createWriter(name, { clock, identity }),
    know: async (...records) => {
      await index.transact((tx) => {
        for (const signed of records) ledger.add(tx, signed)
      })
    },
    follow: (other) => reader.follow(other.self, peerIdOfName(other.self)),
    [Symbol.asyncDispose]: async () => {
      await reader[Symbol.asyncDispose]()
      await rig[Symbol.asyncDispose]()
    },
  }
}
