/** The Network over libp2p: TCP, Noise, Yamux, identify, gossipsub. Peers that are not allowed never get past the handshake. */
import { createHash } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { gossipsub, StrictNoSign, TopicValidatorResult } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Connection, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import type { Identity } from '../record/identity.ts'
import type { PeerId } from '../record/peer-id.ts'
import { MAX_RECORD_BYTES } from '../record/tag-record.ts'
import { createConnectionKeeper, type Neighbour } from './connection-keeper.ts'
import { answerFrames, openFrameChannel } from './frame-channel.ts'
import type { GossipMessage, GossipVerdict, Network } from './network.ts'

export interface Libp2pNetworkDeps {
  readonly identity: Identity
  /** Whether a peer id stands in the topology. */
  readonly isAllowed: (peerId: string) => boolean
  /** Who is kept connected, and where each listens. */
  readonly neighbours: readonly Neighbour[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface Libp2pNetworkOptions {
  /** Multiaddrs, e.g. `/ip4/0.0.0.0/tcp/4001`. */
  readonly listen: readonly string[]
}

/** Connections in their handshake, at most; more are refused: a flood of half-open ones must not eat memory. */
const MAX_PENDING = 64
/** New connections a second from one address, at most: a site's nodes may all come back at once behind one NAT. */
const MAX_PER_SECOND = 50
/** A handshake must be over by then, milliseconds: garbage on the port is cut off. */
const HANDSHAKE_MS = 10_000
/** Channels of one protocol that one peer may hold open. */
const MAX_CHANNELS = 32
/** Strangers remembered so as not to be reported again. */
const MAX_STRANGERS = 1_000
/** An RPC of gossipsub, bytes: control messages and a burst of records. */
const MAX_RPC_BYTES = 1024 * 1024

const VERDICTS: Readonly<Record<GossipVerdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

export async function createLibp2pNetwork(
  deps: Libp2pNetworkDeps,
  { listen }: Libp2pNetworkOptions,
): Promise<Network> {
  const { identity, isAllowed, logger } = deps
  const strangers = createSeenSet({ limit: MAX_STRANGERS })
  const onStranger: ((peer: string, address: string) => void)[] = []
  const denied = (peer: Libp2pPeerId) => !isAllowed(peer.toString())

  const node = await createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', identity.seed),
    addresses: { listen: [...listen] },
    transports: [
      tcp({
        dialOpts: { noDelay: true, keepAlive: true },
        listenOpts: { noDelay: true, keepAlive: true },
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: {
      denyDialPeer: denied,
      denyInboundEncryptedConnection: (peer, connection) => {
        const id = peer.toString()
        if (keeper.isCutOff(id as PeerId)) return true
        if (!denied(peer)) return false
        if (strangers.add(id)) {
          for (const tell of onStranger) tell(id, connection.remoteAddr.toString())
        }
        return true
      },
      denyOutboundEncryptedConnection: denied,
      filterMultiaddrForPeer: (peer) => !denied(peer),
    },
    connectionManager: {
      inboundConnectionThreshold: MAX_PER_SECOND,
      maxIncomingPendingConnections: MAX_PENDING,
      inboundUpgradeTimeout: HANDSHAKE_MS,
      dialTimeout: HANDSHAKE_MS,
    },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        globalSignaturePolicy: StrictNoSign,
        msgIdFn: ({ topic, data }) => messageId(topic, data),
        fastMsgIdFn: ({ topic, data }) =>
          Buffer.from(messageId(topic, data ?? EMPTY)).toString('hex'),
        emitSelf: false,
        floodPublish: true,
        doPX: false,
        fallbackToFloodsub: false,
        allowPublishToZeroTopicPeers: true,
        ignoreDuplicatePublishError: true,
        maxInboundDataLength: MAX_RPC_BYTES,
      }),
    },
  })
  const { pubsub } = node.services
  const open = new Set<PeerId>()
  const onUp: ((peer: PeerId) => void)[] = []
  const onDown: ((peer: PeerId) => void)[] = []
  const keeper = createConnectionKeeper({ node, self: identity.peerId, ...deps })

  /** Tells of changes of "has an open connection", once each. */
  function look(peer: Libp2pPeerId): void {
    const id = peer.toString() as PeerId
    const isOpen = node.getConnections(peer).some(({ status }) => status === 'open')
    if (isOpen === open.has(id)) return
    if (isOpen) open.add(id)
    else open.delete(id)
    for (const tell of isOpen ? onUp : onDown) tell(id)
  }
  node.addEventListener('connection:open', ({ detail }) => look(detail.remotePeer))
  node.addEventListener('connection:close', ({ detail }) => look(detail.remotePeer))

  function validator(validate: (message: GossipMessage) => GossipVerdict) {
    return (from: Libp2pPeerId, { topic, data }: { topic: string; data: Uint8Array }) => {
      if (data.length > MAX_RECORD_BYTES) return TopicValidatorResult.Reject
      try {
        return VERDICTS[validate({ topic, from: from.toString() as PeerId, data })]
      } catch (err) {
        logger.error({ err }, 'announcement could not be judged')
        return TopicValidatorResult.Ignore
      }
    }
  }

  return {
    start: async () => {
      await node.start()
      keeper.start()
    },
    addresses: () => node.getMultiaddrs().map((address) => address.toString()),
    join: (topic, validate) => {
      pubsub.topicValidators.set(topic, validator(validate))
      pubsub.subscribe(topic)
    },
    publish: async (topic, data) => {
      await pubsub.publish(topic, data)
    },
    handle: (protocol, answer) => {
      const listening = node.handle(
        protocol,
        (stream, connection) =>
          answerFrames(stream, connection.remotePeer.toString() as PeerId, answer, logger),
        { maxInboundStreams: MAX_CHANNELS, maxOutboundStreams: MAX_CHANNELS },
      )
      listening.catch((err: unknown) => logger.error({ err, protocol }, 'protocol not handled'))
    },
    open: async (peer, protocol, { signal } = {}) => {
      const connection = node.getConnections(peerIdFromString(peer)).find(isUsable)
      if (connection === undefined) {
        throw new EntrepotError('PEER_NOT_CONNECTED', `${peer} is not connected`)
      }
      const options = {
        maxOutboundStreams: MAX_CHANNELS,
        ...(signal === undefined ? {} : { signal }),
      }
      return openFrameChannel(await connection.newStream(protocol, options))
    },
    connected: () => [...open],
    cutOff: (peer, cutOffMs) => keeper.cutOff(peer, cutOffMs),
    onUp: (listener) => void onUp.push(listener),
    onDown: (listener) => void onDown.push(listener),
    onStranger: (listener) => void onStranger.push(listener),
    [Symbol.asyncDispose]: async () => {
      await keeper[Symbol.asyncDispose]()
      await node.stop()
    },
  }
}

const EMPTY = new Uint8Array()

/** Topic and payload: copies are one message, but a relay can publish the same record on its next topic. */
function messageId(topic: string, data: Uint8Array): Uint8Array {
  return createHash('sha256').update(topic).update('\0').update(data).digest()
}

function isUsable({ status }: Connection): boolean {
  return status === 'open'
}
