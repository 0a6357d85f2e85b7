/**
 * How long transfers take: each link has a rate each way, each node a rate for all that it sends, and both are shared evenly by the
 * transfers that are under way. A transfer goes at the smaller of its two shares; what it leaves unused nobody gets.
 */
import { reasonOf } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { NodeName } from '../topology/topology.ts'

export interface Rates {
  /** Resolves when so many bytes have gone from one node to another. @throws the signal's reason */
  transfer(from: NodeName, to: NodeName, bytes: number, options: Cancel): Promise<void>
}

interface Cancel {
  readonly signal: AbortSignal
}

export interface RatesOptions {
  /** Of one link, one way, bytes a second. */
  readonly linkRate: number
  /** Of all that one node sends, bytes a second. */
  readonly nodeRate: number
}

interface Transfer {
  readonly to: NodeName
  left: number
  /** Bytes a second. */
  rate: number
  readonly done: () => void
}

interface Sender {
  readonly transfers: Set<Transfer>
  /** When `left` and `rate` were right, milliseconds. */
  atMs: number
  /** Of the last schedule: an older one is void. */
  version: number
}

const MS_PER_SECOND = 1_000
/** The grain of time here, milliseconds: numbers that count milliseconds since 1970 are good to a quarter of a microsecond. */
const GRAIN_MS = 0.01

export function createRates(
  { clock }: { readonly clock: Clock },
  { linkRate, nodeRate }: RatesOptions,
): Rates {
  const senders = new Map<NodeName, Sender>()

  /** Takes off what has gone since the last look, ends what is whole, and shares anew. */
  function look(sender: Sender): void {
    const seconds = (clock.now() - sender.atMs) / MS_PER_SECOND
    sender.atMs = clock.now()
    const perLink = new Map<NodeName, number>()
    for (const transfer of sender.transfers) {
      transfer.left -= transfer.rate * seconds
      // What is left of less than the grain is an error of rounding.
      const isUnderWay = transfer.left > (transfer.rate * GRAIN_MS) / MS_PER_SECOND / 2
      if (isUnderWay) perLink.set(transfer.to, (perLink.get(transfer.to) ?? 0) + 1)
      else {
        sender.transfers.delete(transfer)
        transfer.done()
      }
    }
    const share = nodeRate / sender.transfers.size
    let nextMs = Number.POSITIVE_INFINITY
    for (const transfer of sender.transfers) {
      transfer.rate = Math.min(share, linkRate / (perLink.get(transfer.to) ?? 1))
      nextMs = Math.min(nextMs, (transfer.left / transfer.rate) * MS_PER_SECOND)
    }
    sender.version += 1
    if (sender.transfers.size > 0) void lookAgain(sender, nextMs)
  }

  async function lookAgain(sender: Sender, ms: number): Promise<void> {
    const { version } = sender
    await clock.sleep(Math.ceil(ms / GRAIN_MS) * GRAIN_MS)
    if (sender.version === version) look(sender)
  }

  return {
    transfer: (from, to, bytes, { signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(reasonOf(signal))
        const sender = senders.get(from) ?? { transfers: new Set(), atMs: 0, version: 0 }
        senders.set(from, sender)
        const onAbort = () => {
          sender.transfers.delete(transfer)
          look(sender)
          reject(reasonOf(signal))
        }
        const done = () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }
        const transfer: Transfer = { to, left: bytes, rate: 0, done }
        look(sender)
        sender.transfers.add(transfer)
        signal.addEventListener('abort', onAbort, { once: true })
        look(sender)
      }),
  }
}
