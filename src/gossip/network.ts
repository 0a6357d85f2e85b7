/**
 * The Network port: what the mesh needs of libp2p. Peers are authenticated before anything is delivered; strangers
 * never show up. Two implementations: `libp2p-network.ts` and the simulated one of the tests.
 */
import type { PeerId } from '../record/peer-id.ts'

/** What to do with a message on a topic: pass it on, drop it quietly, or drop it and hold it against the sender. */
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

export interface GossipMessage {
  readonly topic: string
  /** The neighbour that handed the message over (not its author). */
  readonly from: PeerId
  readonly data: Uint8Array
}

export interface Network extends AsyncDisposable {
  /** Starts listening and dialling. Handlers and topics must be set before. */
  start(): Promise<void>
  /** Where the node listens, as multiaddrs; empty before start. */
  addresses(): readonly string[]
  /** Joins a topic. `validate` runs before a message is forwarded. */
  join(topic: string, validate: (message: GossipMessage) => GossipVerdict): void
  /** Sends to the topic's members that are connected. Nobody there is no error. */
  publish(topic: string, data: Uint8Array): Promise<void>
  /** Answers requests of a protocol. What it throws aborts the channel. */
  handle(protocol: string, answer: ChannelHandler): void
  /** Opens a channel to a connected peer. @throws PEER_NOT_CONNECTED */
  open(
    peer: PeerId,
    protocol: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Channel>
  /** Peers that are connected now. */
  connected(): readonly PeerId[]
  /** Cuts a peer off, e.g. after a hello that does not fit. It is not redialled before `cutOffMs` have passed. */
  cutOff(peer: PeerId, cutOffMs: number): Promise<void>
  onUp(listener: (peer: PeerId) => void): void
  onDown(listener: (peer: PeerId) => void): void
  /** Somebody authenticated with a key that is not in the topology, and was cut off. */
  onStranger(listener: (peer: string, address: string) => void): void
}

/** One request frame, one answer frame, as often as wanted; frames are at most MAX_FRAME_BYTES. */
export interface Channel {
  /** One request at a time. @throws CHANNEL_CLOSED when the peer is gone or refused. */
  request(frame: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>
  close(): Promise<void>
}

/** `signal` is aborted when the channel closes. */
export type ChannelHandler = (
  frame: Uint8Array,
  context: { readonly peer: PeerId; readonly signal: AbortSignal },
) => Promise<Uint8Array>

/** Largest frame, bytes: below the 4 MiB that a libp2p stream buffers before it aborts. */
export const MAX_FRAME_BYTES = 1024 * 1024
