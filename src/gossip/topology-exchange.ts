/**
 * How a topology spreads: to each peer that comes up a node offers the newest signed file that it has, and gives those that the
 * peer lacks. Whoever connects may give, also one that stands in a former topology alone: the owner's signature decides.
 */
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { napUntil } from '../lib/nap.ts'
import type { Random } from '../lib/random.ts'
import {
  createTokenBucket,
  type TokenBucket,
  type TokenBucketOptions,
} from '../lib/token-bucket.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { Channel, Network } from './network.ts'
import {
  decodeTopologyAnswer,
  decodeTopologyRequest,
  encodeTopologyAnswer,
  encodeTopologyRequest,
  MAX_GIVEN,
  MAX_TOPOLOGY_BYTES,
  type SealedTopology,
  TOPOLOGY_PROTOCOL,
} from './topology-codec.ts'

export interface TopologyExchange extends Disposable {
  /** Offers it to every peer that is up; resolves when each has it or did not take it, `ms` milliseconds at most. */
  offerAll(ms: number): Promise<void>
}

export interface TopologyExchangeDeps {
  readonly network: Pick<Network, 'handle' | 'open' | 'onUp' | 'onDown' | 'connected'>
  readonly realm: string
  /** Files above this generation are taken. */
  readonly generation: () => number
  /** Signed files that this node has, in the order of their generations. */
  readonly sealed: () => readonly SealedTopology[]
  /** Files of a peer, in the order of their generations. Resolves when they were looked at; it must not reject. */
  readonly onFiles: (files: readonly SealedTopology[], from: PeerId) => Promise<void>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** A peer that could not be offered it is tried so often; it is offered again when it comes up anew. */
const TRIES = 4
const RETRY = { firstMs: 500, capMs: 10_000 }
/** A frame of the largest size over a slow link, milliseconds. */
const ANSWER_MS = 30_000
/** Questions of one peer: an offer and a gift a connection, and as much for each file that it takes up. More wait for their turn. */
const QUESTIONS: TokenBucketOptions = { perSecond: 1, burst: 20 }

export function createTopologyExchange(deps: TopologyExchangeDeps): TopologyExchange {
  const { network, realm, generation, sealed, onFiles, clock, random, logger } = deps
  const stop = new AbortController()
  const up = new Map<PeerId, AbortController>()
  /** Peers whose files are being looked at: one gift each, so that nobody fills the memory with them. */
  const giving = new Set<PeerId>()
  /** No more than may connect. */
  const questions = new Map<PeerId, TokenBucket>()

  async function offer(peer: PeerId, signal: AbortSignal): Promise<void> {
    const newest = sealed().at(-1)
    if (newest === undefined) return
    const over = new AbortController()
    const late = new DOMException(`no answer within ${ANSWER_MS} ms`, 'TimeoutError')
    clock.sleep(ANSWER_MS, { signal: over.signal }).then(
      () => over.abort(late),
      () => {},
    )
    const either = AbortSignal.any([signal, over.signal])
    let channel: Channel | undefined
    try {
      const opened = await network.open(peer, TOPOLOGY_PROTOCOL, { signal: either })
      channel = opened
      const ask = async (request: Parameters<typeof encodeTopologyRequest>[0]) =>
        decodeTopologyAnswer(
          await opened.request(encodeTopologyRequest(request), { signal: either }),
        )
      const { generation: offered } = newest
      const said = await ask({ version: 1, kind: 'offer', realm, generation: offered })
      if (said.kind !== 'wanted') return
      const files = fitting(sealed().filter((file) => file.generation > said.above))
      if (files.length > 0) await ask({ version: 1, kind: 'give', files: [...files] })
    } finally {
      await channel?.close().catch(() => {})
      over.abort()
    }
  }

  async function keepOffering(peer: PeerId, signal: AbortSignal): Promise<void> {
    for (let tries = 1; tries <= TRIES && !signal.aborted; tries += 1) {
      try {
        return await offer(peer, signal)
      } catch (err) {
        logger.debug({ peer, reason: messageOf(err) }, 'topology not offered')
        await clock.sleep(backoffMs(tries, RETRY, random), { signal }).catch(() => {})
      }
    }
  }

  /** The limits of members do not hold here: who is let in for this protocol alone may be a stolen key. */
  async function turn(peer: PeerId, signal: AbortSignal): Promise<void> {
    const bucket = questions.get(peer) ?? createTokenBucket({ clock }, QUESTIONS)
    questions.set(peer, bucket)
    while (!bucket.take()) await clock.sleep(bucket.waitMs(), { signal })
  }

  network.handle(TOPOLOGY_PROTOCOL, async (frame, { peer, signal }) => {
    await turn(peer, signal)
    const request = decodeTopologyRequest(frame)
    if (request.kind === 'give') {
      if (giving.has(peer)) throw new Error('files of this peer are being looked at')
      giving.add(peer)
      void onFiles(request.files, peer).finally(() => giving.delete(peer))
      return encodeTopologyAnswer({ version: 1, kind: 'noted' })
    }
    const above = generation()
    return encodeTopologyAnswer(
      request.realm !== realm || request.generation <= above
        ? { version: 1, kind: 'known' }
        : { version: 1, kind: 'wanted', above },
    )
  })
  network.onUp((peer) => {
    up.get(peer)?.abort()
    const gone = new AbortController()
    up.set(peer, gone)
    void keepOffering(peer, AbortSignal.any([stop.signal, gone.signal]))
  })
  network.onDown((peer) => {
    up.get(peer)?.abort()
    up.delete(peer)
  })

  return {
    offerAll: async (ms) => {
      const asked = network.connected().map((peer) => offer(peer, stop.signal).catch(() => {}))
      await napUntil(Promise.all(asked), ms, { clock })
    },
    [Symbol.dispose]: () => stop.abort(),
  }
}

/** As many as go into one frame, from the first on: whoever runs the last of them is offered the rest. */
function fitting(files: readonly SealedTopology[]): readonly SealedTopology[] {
  let bytes = 0
  return files.slice(0, MAX_GIVEN).filter(({ text }, at) => {
    bytes += Buffer.byteLength(text)
    return at === 0 || bytes <= MAX_TOPOLOGY_BYTES
  })
}
