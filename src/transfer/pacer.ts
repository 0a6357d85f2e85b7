/**
 * Keeps all transfers from one node together within the limit of the link: whoever asks for bytes waits for its turn first.
 * Small content goes ahead of large, which still gets a part.
 */
import { reasonOf } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import { createNap } from '../lib/nap.ts'
import type { PairLimit } from '../topology/rates.ts'
import type { NodeName } from '../topology/topology.ts'

export interface Pacer {
  /**
   * Waits until bytes may be asked for. Order: small before large, then first come, first served.
   * @returns how many: all of what is small, of what is large a piece, so that others get their turn soon
   * @throws LinkClosedError; the signal's reason
   */
  take(
    bytes: number,
    options: { readonly isSmall: boolean; readonly signal: AbortSignal },
  ): Promise<number>
  /** Of what was taken, so many bytes have come, or nobody waits for them any more. */
  arrived(bytes: number): void
  /** Of what was taken, so many bytes were not sent. */
  giveBack(bytes: number): void
  /** Why nothing may be asked for now; undefined where it may. */
  closure(): LinkClosedError | undefined
}

/** The calendar of the link lets nothing through at this time. */
export class LinkClosedError extends EntrepotError {
  /** When it opens, milliseconds since the Unix epoch; Infinity where it never does. */
  readonly untilMs: number

  constructor(from: NodeName, untilMs: number) {
    const until = Number.isFinite(untilMs)
      ? `until ${new Date(untilMs).toISOString()}`
      : 'at all times'
    super('LINK_CLOSED', `link from ${from} is closed ${until}: its bandwidth in the topology is 0`)
    this.untilMs = untilMs
  }
}

/** Bytes up to which content goes ahead of larger, in one piece: manifests, configs, signatures, and the end of any blob. */
export const SMALL_BYTES = 65_536
/** Time that was not used is made up for, milliseconds at most: timers are late on a busy node. 1 % of ten seconds. */
const BURST_MS = 100
/** A piece takes so long on the link, milliseconds: what is small waits for one at most. 2.5 % of ten seconds. */
const PIECE_MS = 250
/** Bytes: the headers of a smaller one would count, and a larger one gains nothing. */
const [LEAST_PIECE, GREATEST_PIECE] = [8_192, 4_194_304]
/** Bytes of small content that may overtake one byte of large content that waits: it gets a fifth at least. */
const OVERTAKING = 4

interface Ask {
  readonly bytes: number
  go(bytes: number): void
  fail(err: Error): void
}

export interface PacerDeps {
  readonly from: NodeName
  readonly limit: PairLimit
  readonly clock: Clock
}

export function createPacer({ from, limit, clock }: PacerDeps): Pacer {
  const small = new Set<Ask>()
  const large = new Set<Ask>()
  const nap = createNap({ clock })
  /** Bytes; below 0 is what went ahead of its time. */
  let credit = Number.POSITIVE_INFINITY
  /** In force since `atMs`; Infinity: no limit. */
  let bytesPerMs = Number.POSITIVE_INFINITY
  let atMs = clock.now()
  /** Bytes that were taken and have not come yet. */
  let underWay = 0
  let overtaken = 0
  let isRunning = false

  function refill(): void {
    const now = clock.now()
    const wasFree = bytesPerMs === Number.POSITIVE_INFINITY
    // A clock that was set back gives nothing, and one that was set forward no more than the burst.
    if (now > atMs) credit += (now - atMs) * bytesPerMs
    atMs = now
    bytesPerMs = (limit.at(now) ?? Number.POSITIVE_INFINITY) / 8_000
    const isFree = bytesPerMs === Number.POSITIVE_INFINITY
    credit = isFree ? bytesPerMs : Math.min(credit, bytesPerMs * BURST_MS)
    // What was asked for while there was no limit comes now.
    if (wasFree && !isFree) credit -= underWay
  }

  /** Bytes of a large transfer that may be asked for at once. */
  function pieceOf({ bytes }: Ask): number {
    // It is paid when the rate changes: what comes after that goes by the other rate.
    const ms = Math.min(PIECE_MS, limit.changesAt(atMs) - atMs)
    const piece = Math.ceil(Math.max(LEAST_PIECE, bytesPerMs * ms))
    return Math.min(bytes, piece, GREATEST_PIECE)
  }

  function grant(): void {
    const [[first], [waiting]] = [small, large]
    const piece = waiting === undefined ? 0 : pieceOf(waiting)
    const isSmall = first !== undefined && (waiting === undefined || overtaken < OVERTAKING * piece)
    const ask = isSmall ? first : waiting
    if (ask === undefined) return
    const bytes = isSmall ? ask.bytes : piece
    if (waiting === undefined) overtaken = 0
    else overtaken = Math.max(0, overtaken + (isSmall ? bytes : -OVERTAKING * bytes))
    credit -= bytes
    underWay += bytes
    ask.go(bytes)
  }

  async function run(): Promise<void> {
    isRunning = true
    while (small.size + large.size > 0) {
      refill()
      if (bytesPerMs === 0) {
        const closed = new LinkClosedError(from, limit.opensAt(atMs))
        for (const ask of [...small, ...large]) ask.fail(closed)
      } else if (credit >= 0) {
        grant()
      } else {
        const ms = Math.min(-credit / bytesPerMs, limit.changesAt(atMs) - atMs)
        await nap.take(Math.max(1, Math.ceil(ms)))
      }
    }
    isRunning = false
  }

  return {
    take: (bytes, { isSmall, signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(reasonOf(signal))
          return
        }
        const line = isSmall ? small : large
        const leave = () => {
          line.delete(ask)
          signal.removeEventListener('abort', onAbort)
        }
        const onAbort = () => {
          leave()
          reject(reasonOf(signal))
          // Nobody is left to wait for.
          if (small.size + large.size === 0) nap.wake()
        }
        const ask: Ask = {
          bytes,
          go: (granted) => {
            leave()
            resolve(granted)
          },
          fail: (err) => {
            leave()
            reject(err)
          },
        }
        signal.addEventListener('abort', onAbort)
        line.add(ask)
        if (!isRunning) void run()
      }),
    arrived: (bytes) => {
      underWay = Math.max(0, underWay - bytes)
    },
    giveBack: (bytes) => {
      credit += bytes
      underWay = Math.max(0, underWay - bytes)
    },
    closure: () => {
      const now = clock.now()
      return limit.at(now) === 0 ? new LinkClosedError(from, limit.opensAt(now)) : undefined
    },
  }
}
