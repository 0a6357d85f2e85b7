/**
 * How much each neighbour may ask of this node. Too many questions wait for their turn; too many announcements are dropped unread, the
 * feed brings them; who goes on all the same, or sends what no honest node does, is cut off, each time for longer.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import {
  createTokenBucket,
  type TokenBucket,
  type TokenBucketOptions,
} from '../lib/token-bucket.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { PeerId } from '../record/peer-id.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'
import { HELLO_PROTOCOL } from './hello-codec.ts'
import type { Network } from './network.ts'

export interface PeerLimits {
  /** Whether an announcement of the peer is looked at. */
  hears(peer: PeerId): boolean
  /** Waits until a question of the peer may be answered. @throws the signal's reason */
  turn(peer: PeerId, protocol: string, signal: AbortSignal): Promise<void>
  /** The peer sent what no honest node does. */
  offend(peer: PeerId, reason: string): void
}

export interface PeerLimitsDeps {
  readonly network: Pick<Network, 'cutOff'>
  readonly topology: Topology
  readonly neighbours: Pick<Neighbours, 'failed'>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Announcements of one neighbour: it sends 1,000 a second on a topic at most (the outbox's rate), and shares few topics with this
 * node. Checking one costs some 0.15 ms: 2,000 a second are a third of a processor. The burst is what waits at most in one outbox.
 */
const MESSAGES: TokenBucketOptions = { perSecond: 2_000, burst: 10_000 }
/** Announcements beyond that are a flood when they go on: 20 s at twice the rate. */
const EXCESS: TokenBucketOptions = { perSecond: 1_000, burst: 20_000 }
/** Feed questions: a reader stores a page of 500 entries in 20 ms or more before it asks for the next, so none waits here. */
const QUESTIONS: TokenBucketOptions = { perSecond: 50, burst: 200 }
/** Hellos: one a connection, one when a certificate changed, one where a clock jumped. */
const HELLOS: TokenBucketOptions = { perSecond: 1, burst: 20 }
/** Invalid records: an honest node checks before it passes on; a fault of its program is borne once a minute. */
const INVALID: TokenBucketOptions = { perSecond: 1 / 60, burst: 20 }
/** First and longest time that a peer is cut off, milliseconds; doubled each time. */
const CUT_OFF = { firstMs: 60_000, capMs: 3_600_000 }
/** After so long without an offence a peer begins anew, milliseconds: as long as the longest cut. */
export const FORGIVEN_MS = 3_600_000

interface Conduct {
  readonly messages: TokenBucket
  readonly questions: Map<string, TokenBucket>
  excess: TokenBucket
  invalid: TokenBucket
  cuts: number
  /** End of the last cut, milliseconds since the Unix epoch. */
  untilMs: number
}

export function createPeerLimits(deps: PeerLimitsDeps): PeerLimits {
  const { network, topology, neighbours, events, clock, logger } = deps
  /** Bounded by the topology: nobody else gets this far. */
  const conducts = new Map<PeerId, Conduct>()

  function conductOf(peer: PeerId): Conduct {
    const made = conducts.get(peer) ?? {
      messages: createTokenBucket({ clock }, MESSAGES),
      questions: new Map<string, TokenBucket>(),
      excess: createTokenBucket({ clock }, EXCESS),
      invalid: createTokenBucket({ clock }, INVALID),
      cuts: 0,
      untilMs: 0,
    }
    conducts.set(peer, made)
    return made
  }

  function cutOff(peer: PeerId, reason: string): void {
    const conduct = conductOf(peer)
    const node = nodeOfPeer(topology, peer)
    const now = clock.now()
    // What was on its way when it was cut off.
    if (node === undefined || (now < conduct.untilMs && conduct.untilMs - now <= CUT_OFF.capMs))
      return
    if (now - conduct.untilMs > FORGIVEN_MS) conduct.cuts = 0
    const cutOffMs = Math.min(CUT_OFF.capMs, CUT_OFF.firstMs * 2 ** conduct.cuts)
    conduct.cuts += 1
    conduct.untilMs = now + cutOffMs
    conduct.excess = createTokenBucket({ clock }, EXCESS)
    conduct.invalid = createTokenBucket({ clock }, INVALID)
    neighbours.failed(node, `cut off for ${cutOffMs / 1_000} s: ${reason}`)
    if (conduct.cuts === 1) {
      logger.error(
        { neighbour: node, reason, cutOffMs },
        'neighbour cut off, each time for longer: look at what runs there, and whether its key was stolen',
      )
      events.emit({ kind: 'peer-cut-off', node, reason, cutOffMs })
    }
    network.cutOff(peer, cutOffMs).catch((err: unknown) => {
      logger.warn({ err, neighbour: node }, 'neighbour not cut off')
    })
  }

  return {
    hears: (peer) => {
      const { messages, excess } = conductOf(peer)
      if (messages.take()) return true
      if (!excess.take()) {
        cutOff(peer, `more than ${MESSAGES.perSecond + EXCESS.perSecond} announcements a second`)
      }
      return false
    },
    turn: async (peer, protocol, signal) => {
      const { questions } = conductOf(peer)
      const limit = protocol === HELLO_PROTOCOL ? HELLOS : QUESTIONS
      const bucket = questions.get(protocol) ?? createTokenBucket({ clock }, limit)
      questions.set(protocol, bucket)
      while (!bucket.take()) await clock.sleep(bucket.waitMs(), { signal })
    },
    offend: (peer, reason) => {
      if (!conductOf(peer).invalid.take()) {
        cutOff(
          peer,
          `more than ${INVALID.burst} records that no honest node passes on, the last: ${reason}`,
        )
      }
    },
  }
}

/** The network with the limits before everything that a peer can begin. */
export function limitNetwork(network: Network, limits: PeerLimits): Network {
  return {
    ...network,
    join: (topic, validate) =>
      network.join(topic, (message) => (limits.hears(message.from) ? validate(message) : 'ignore')),
    handle: (protocol, answer) =>
      network.handle(protocol, async (frame, context) => {
        await limits.turn(context.peer, protocol, context.signal)
        return answer(frame, context)
      }),
  }
}
