/** The Network over libp2p. Peers that are not allowed never get past the handshake; nothing else ever hears of them. */
import type { Connection, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import type { Identity } from '../record/identity.ts'
import type { PeerId } from '../record/peer-id.ts'
import { createConnectionKeeper, type MeshNeighbour } from './connection-keeper.ts'
import { answerFrames, openFrameChannel } from './frame-channel.ts'
import { createMeshNode } from './libp2p-node.ts'
import type { Channel, ChannelHandler, Network } from './network.ts'
import { endStuck, joinTopic } from './topic-wire.ts'

export interface Libp2pNetworkDeps {
  readonly identity: Identity
  /** Whether a peer id stands in the topology, or in a former one. */
  readonly isAllowed: (peerId: string) => boolean
  /** Whether announcements are exchanged with it. Default: with all who are allowed. */
  readonly isMember?: (peerId: string) => boolean
  /** Who is kept connected, and where each listens. */
  readonly neighbours: readonly MeshNeighbour[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface Libp2pNetworkOptions {
  /** Multiaddrs, e.g. `/ip4/0.0.0.0/tcp/4001`. */
  readonly listen: readonly string[]
}

/** Channels of one protocol that one peer may hold open. */
const MAX_CHANNELS = 32
/** Strangers remembered so as not to be reported again. */
const MAX_STRANGERS = 1_000
/** The streams of a connection that closed are gone by then, milliseconds: libp2p says so in the turns after. */
const STREAMS_GONE_MS = 50

export async function createLibp2pNetwork(
  deps: Libp2pNetworkDeps,
  { listen }: Libp2pNetworkOptions,
): Promise<Network> {
  const { identity, isAllowed, clock, logger } = deps
  const strangers = createSeenSet({ limit: MAX_STRANGERS })
  const onStranger: ((peer: string, address: string) => void)[] = []
  const onUp: ((peer: PeerId) => void)[] = []
  const onDown: ((peer: PeerId) => void)[] = []
  /** Peers that were told to be up. */
  const up = new Set<PeerId>()
  /** What can only be done once libp2p runs. */
  const atStart: (() => void)[] = []
  const stopped = new AbortController()

  const gate = {
    isAllowed,
    isMember: deps.isMember ?? isAllowed,
    isCutOff: (peer: string) => keeper.isCutOff(peer as PeerId),
    onStranger: (peer: string, address: string) => {
      if (strangers.add(peer)) for (const tell of onStranger) tell(peer, address)
    },
  }
  const node = await createMeshNode(identity, gate, listen)
  const { pubsub, links } = node.services
  const keeper = createConnectionKeeper({ node, self: identity.peerId, ...deps })

  /** Newest first: an older one may be dead without knowing it. */
  function openConnections(peer: Libp2pPeerId): Connection[] {
    return node
      .getConnections(peer)
      .filter(({ status }) => status === 'open')
      .sort((a, b) => b.timeline.open - a.timeline.open)
  }

  /** Tells of changes of "has an open connection", once each. */
  function look(peer: Libp2pPeerId): void {
    const id = peer.toString() as PeerId
    const isOpen = openConnections(peer).length > 0
    if (isOpen === up.has(id)) return
    if (isOpen) up.add(id)
    else up.delete(id)
    for (const tell of isOpen ? onUp : onDown) tell(id)
  }

  async function attachGossip(peer: Libp2pPeerId): Promise<void> {
    await clock.sleep(STREAMS_GONE_MS, { signal: stopped.signal }).catch(() => {})
    if (!stopped.signal.aborted) links.attach(peer, openConnections(peer))
  }

  node.addEventListener('connection:open', ({ detail }) => look(detail.remotePeer))
  node.addEventListener('connection:close', ({ detail: { remotePeer } }) => {
    look(remotePeer)
    if (up.has(remotePeer.toString() as PeerId)) void attachGossip(remotePeer)
  })

  async function handle(protocol: string, answer: ChannelHandler): Promise<void> {
    await node.handle(
      protocol,
      (stream, { remotePeer }) =>
        answerFrames(stream, remotePeer.toString() as PeerId, answer, logger),
      { maxInboundStreams: MAX_CHANNELS, maxOutboundStreams: MAX_CHANNELS },
    )
  }

  async function open(peer: PeerId, protocol: string, signal?: AbortSignal): Promise<Channel> {
    const [connection] = openConnections(peerIdFromString(peer))
    if (connection === undefined) {
      throw new EntrepotError('PEER_NOT_CONNECTED', `${peer} is not connected`)
    }
    const options = signal === undefined ? {} : { signal }
    try {
      return openFrameChannel(
        await connection.newStream(protocol, { maxOutboundStreams: MAX_CHANNELS, ...options }),
      )
    } catch (cause) {
      signal?.throwIfAborted()
      const message = `${protocol} not opened at ${peer}: ${messageOf(cause)}`
      throw new EntrepotError('CHANNEL_CLOSED', message, { cause })
    }
  }

  const handling: Promise<void>[] = []
  return {
    start: async () => {
      await Promise.all(handling)
      await node.start()
      for (const act of atStart) act()
      keeper.start()
    },
    addresses: () => node.getMultiaddrs().map((address) => address.decapsulate('/p2p').toString()),
    join: (topic, validate) => {
      // gossipsub takes subscriptions only while it runs.
      const act = () => joinTopic(pubsub, topic, validate, logger)
      if (node.status === 'started') act()
      else atStart.push(act)
    },
    publish: async (topic, data) => {
      if (node.status !== 'started') return
      await pubsub.publish(topic, data)
      endStuck(node.getConnections(), logger)
    },
    handle: (protocol, answer) => void handling.push(handle(protocol, answer)),
    open: (peer, protocol, { signal } = {}) => open(peer, protocol, signal),
    connected: () => [...up],
    cutOff: (peer, cutOffMs) => keeper.cutOff(peer, cutOffMs),
    onUp: (listener) => void onUp.push(listener),
    onDown: (listener) => void onDown.push(listener),
    onStranger: (listener) => void onStranger.push(listener),
    [Symbol.asyncDispose]: async () => {
      stopped.abort()
      await keeper[Symbol.asyncDispose]()
      await node.stop()
      for (const peer of up) for (const tell of onDown) tell(peer)
      up.clear()
    },
  }
}
