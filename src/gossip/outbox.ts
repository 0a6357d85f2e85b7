/**
 * News on its way to one topic: sent at once while there is little, paced while there is much. What waits is replaced by newer
 * news of its key, by the order of the records, so concurrent ones all go out.
 */
import type { Clock } from '../lib/clock.ts'
import { createTokenBucket } from '../lib/token-bucket.ts'
import { type History, merge } from '../record/history.ts'
import { keyText, type SignedRecord } from '../record/tag-record.ts'

export interface Outbox {
  put(signed: SignedRecord): void
  /** Records that were left out since there was no room, or the network did not take them. */
  dropped(): number
}

export interface OutboxDeps {
  readonly publish: (data: Uint8Array) => Promise<void>
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Records a second on one topic: half of what a receiver takes from one neighbour on all topics (MESSAGES). A push by hand
 * or by a pipeline is one; a thousand tags at once go out without a wait.
 */
const RATE = { perSecond: 1_000, burst: 1_000 }
/** Keys that wait, at most: ten seconds of sending. Beyond it the feed brings the news. */
const MAX_WAITING = 10_000

export function createOutbox({ publish, clock, signal }: OutboxDeps): Outbox {
  const waiting = new Map<string, History>()
  const bucket = createTokenBucket({ clock }, RATE)
  let dropped = 0
  let isSending = false

  async function send(): Promise<void> {
    for (;;) {
      const [next] = waiting
      if (next === undefined || signal.aborted) return
      const ms = bucket.waitMs()
      if (ms > 0) {
        await clock.sleep(ms, { signal }).catch(() => {})
        // What it was about to send may have been replaced.
        continue
      }
      const [key, [first, ...rest]] = next
      if (rest.length === 0) waiting.delete(key)
      else waiting.set(key, rest)
      if (first === undefined) continue
      bucket.take()
      await publish(first.bytes).catch(() => {
        dropped += 1
      })
    }
  }

  return {
    put: (signed) => {
      const key = keyText(signed.record)
      const before = waiting.get(key)
      if (before === undefined && waiting.size >= MAX_WAITING) {
        dropped += 1
        return
      }
      const merged = merge(before ?? [], signed)
      if (merged.kind === 'known') return
      waiting.set(key, merged.history)
      if (isSending) return
      isSending = true
      void send().finally(() => {
        isSending = false
      })
    },
    dropped: () => dropped,
  }
}
