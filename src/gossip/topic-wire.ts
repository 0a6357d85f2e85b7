/**
 * Gossipsub as the mesh uses it. Payloads are signed records, so messages carry no signature of their own; a message is
 * known by its topic and payload. No lazy gossip: what a node missed comes by its neighbours' feeds.
 */
import { createHash } from 'node:crypto'
import {
  type GossipSub,
  type GossipsubOpts,
  gossipsub,
  multicodec,
  StrictNoSign,
  TopicValidatorResult,
} from '@libp2p/gossipsub'
import type { Connection, PeerId as Libp2pPeerId, Topology } from '@libp2p/interface'
import type { Logger } from '../lib/logger.ts'
import type { PeerId } from '../record/peer-id.ts'
import { MAX_RECORD_BYTES } from '../record/tag-record.ts'
import type { GossipMessage, GossipVerdict } from './network.ts'

/** One RPC, bytes: the names of a thousand topics, or a record, with its control messages. */
const MAX_RPC_BYTES = 256 * 1024
/** Topics of one peer: it has one per link group; also the GRAFTs that one RPC may carry. */
const MAX_TOPICS = 1_000
/** Records in one RPC: ours carry one. */
const MAX_MESSAGES = 64
/** Ids in one control message: without lazy gossip nobody has reason to ask for more. */
const MAX_IDS = 64

const OPTIONS: Partial<GossipsubOpts> = {
  globalSignaturePolicy: StrictNoSign,
  msgIdFn: ({ topic, data }) => messageId(topic, data),
  // The same hash: copies are dropped before anything else looks at them.
  fastMsgIdFn: ({ topic, data }) => Buffer.from(messageId(topic, data ?? EMPTY)).toString('latin1'),
  emitSelf: false,
  floodPublish: true,
  doPX: false,
  fallbackToFloodsub: false,
  allowPublishToZeroTopicPeers: true,
  ignoreDuplicatePublishError: true,
  Dlazy: 0,
  gossipFactor: 0,
  // Peers are authenticated and named by the topology. Many behind one address (a site, this machine) are no attack:
  // with the default weight the sixteenth would be shut out.
  scoreParams: { IPColocationFactorWeight: 0 },
  maxInboundDataLength: MAX_RPC_BYTES,
  decodeRpcLimits: {
    maxSubscriptions: MAX_TOPICS,
    maxMessages: MAX_MESSAGES,
    maxControlMessages: MAX_TOPICS,
    maxIhaveMessageIDs: MAX_IDS,
    maxIwantMessageIDs: MAX_IDS,
    maxIdontwantMessageIDs: MAX_IDS,
    maxPeerInfos: 0,
  },
}

const VERDICTS: Readonly<Record<GossipVerdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

/** Far below every threshold of gossipsub: nothing is published to such a peer, and nothing is taken from it. */
const OUTSIDE_SCORE = -1_000_000

/** A peer that is no member hears nothing, whatever topics it joins. */
export const topicWire = (isMember: (peer: string) => boolean) =>
  gossipsub({
    ...OPTIONS,
    scoreParams: {
      ...OPTIONS.scoreParams,
      appSpecificScore: (peer) => (isMember(peer) ? 0 : OUTSIDE_SCORE),
    },
  })

/** Joins a topic: `validate` sees each message once, before it is passed on. */
export function joinTopic(
  pubsub: GossipSub,
  topic: string,
  validate: (message: GossipMessage) => GossipVerdict,
  logger: Logger,
): void {
  pubsub.topicValidators.set(topic, (from, { data }) => {
    if (data.length > MAX_RECORD_BYTES) return TopicValidatorResult.Reject
    try {
      return VERDICTS[validate({ topic, from: from.toString() as PeerId, data })]
    } catch (err) {
      logger.error({ err, topic }, 'announcement could not be judged')
      return TopicValidatorResult.Ignore
    }
  })
  pubsub.subscribe(topic)
}

/** What gossipsub asked libp2p to be told about new connections: `attach` tells it again. */
export interface GossipLinks {
  attach(peer: Libp2pPeerId, connections: readonly Connection[]): void
}

/**
 * Of two connections to a peer gossipsub sends over the first, for ever: when that one closes it falls silent, although
 * the other is open. `attach` gives it the one that is left; where it has a stream, nothing happens.
 */
export function gossipLinks({
  registrar,
}: {
  readonly registrar: { getTopologies(protocol: string): Topology[] }
}): GossipLinks {
  return {
    attach: (peer, connections) => {
      const [connection] = connections
      if (connection === undefined) return
      for (const topology of registrar.getTopologies(multicodec)) {
        void topology.onConnect?.(peer, connection)
      }
    },
  }
}

/** What waits in the stream of one peer, at most, bytes: 10,000 records of the usual size, a burst over a slow link. */
const MAX_BEHIND_BYTES = 4 * 1024 * 1024

/**
 * Ends the connections over which announcements do not get through: gossipsub puts them into the stream's memory without
 * bound. The peer comes back, and its feed brings what it missed.
 */
export function endStuck(connections: readonly Connection[], logger: Logger): void {
  for (const connection of connections) {
    const stuck = connection.streams.find(
      ({ protocol, writeBufferLength }) =>
        protocol === multicodec && writeBufferLength > MAX_BEHIND_BYTES,
    )
    if (stuck === undefined) continue
    const peerId = connection.remotePeer.toString()
    logger.warn(
      { peerId, bytes: stuck.writeBufferLength },
      'neighbour takes no announcements, connection ended',
    )
    connection.abort(new Error('announcements are not read'))
  }
}

const EMPTY = new Uint8Array()

/** Topic and payload: copies are one message, but a relay can publish the same record on its next topic. */
function messageId(topic: string, data: Uint8Array): Uint8Array {
  return createHash('sha256').update(topic).update('\0').update(data).digest()
}
