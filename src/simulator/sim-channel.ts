/** Channels between simulated peers: in order and whole like TCP, or broken; they stall while one direction is cut. */
import { type Channel, type ChannelHandler, MAX_FRAME_BYTES } from '../gossip/network.ts'
import { reasonOf } from '../lib/abort.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { SimLinks } from './sim-links.ts'

/** Bytes that a simulated link carried. */
export interface SimTraffic {
  readonly kind: 'gossip' | 'request' | 'answer'
  readonly from: PeerId
  readonly to: PeerId
  /** Topic or protocol. */
  readonly on: string
  readonly bytes: number
}

export interface ChannelEnds {
  readonly from: PeerId
  readonly to: PeerId
  readonly protocol: string
  /** Aborted when the connection breaks. */
  readonly connection: AbortSignal
  readonly handler: () => ChannelHandler | undefined
}

export interface ChannelDeps {
  readonly links: SimLinks
  readonly delay: () => Promise<void>
  readonly onTraffic: (traffic: SimTraffic) => void
}

export function openSimChannel(
  { links, delay, onTraffic }: ChannelDeps,
  { from, to, protocol, connection, handler }: ChannelEnds,
): Channel {
  const closed = new AbortController()
  const over = AbortSignal.any([connection, closed.signal])

  async function carry(kind: SimTraffic['kind'], a: PeerId, b: PeerId, bytes: number) {
    onTraffic({ kind, from: a, to: b, on: protocol, bytes })
    await delay()
    if (!links.passes(a, b)) await links.passage(a, b, over)
  }

  return {
    request: async (frame, { signal } = {}) => {
      if (frame.length > MAX_FRAME_BYTES) throw new RangeError('frame is too large')
      const ends = signal === undefined ? [over] : [over, signal]
      const exchange = async () => {
        await carry('request', from, to, frame.length)
        const answer = handler()
        if (answer === undefined || over.aborted) throw new Error('no such protocol')
        const reply = await answer(frame, { peer: from, signal: over })
        await carry('answer', to, from, reply.length)
        return reply
      }
      try {
        return await untilAborted(exchange(), ends)
      } catch (cause) {
        closed.abort()
        signal?.throwIfAborted()
        throw new EntrepotError('CHANNEL_CLOSED', 'the channel ended', { cause })
      }
    },
    close: async () => closed.abort(),
  }
}

/** Listens by itself: a signal made of others for each request costs more than the request. */
function untilAborted<T>(result: Promise<T>, signals: readonly AbortSignal[]): Promise<T> {
  return new Promise((resolve, reject) => {
    // The event does not say whose it is: its target may be gone when it comes.
    const onAbort = () => {
      const over = signals.find(({ aborted }) => aborted)
      if (over !== undefined) reject(reasonOf(over))
    }
    onAbort()
    for (const signal of signals) signal.addEventListener('abort', onAbort, { once: true })
    const leave = () => {
      for (const signal of signals) signal.removeEventListener('abort', onAbort)
    }
    result.then(resolve, reject).finally(leave)
  })
}
