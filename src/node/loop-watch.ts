/** Whether the event loop keeps up: from here on new uploads are put off, see `loopDelay` in bounds.ts. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'

export interface LoopWatch {
  /** As of the last window. */
  isLate(): boolean
  /** The same; while it is late it waits for that to pass, for two windows. */
  isStillLate(): Promise<boolean>
  close(): void
}

/** What is looked at, milliseconds: long enough for one garbage collection not to count, short beside what clients wait. */
const WINDOW_MS = 5_000
/** Windows for which a late loop is waited for: a start, or a crowd, is mostly over then, and clients wait longer for an answer. */
const PATIENCE = 2
/** Between two samples, milliseconds. */
const RESOLUTION_MS = 20
const PERCENTILE = 99
const NANOSECONDS_PER_MS = 1e6

/** `loopDelay`: milliseconds at the 99th percentile. */
export function createLoopWatch(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  { loopDelay }: { readonly loopDelay: number },
): LoopWatch {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  const stop = new AbortController()
  let isLate = false
  let nextLook = Promise.withResolvers<void>()
  void lookInTime()

  async function lookInTime(): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(WINDOW_MS, { signal: stop.signal }).catch(() => {})
      look()
    }
  }

  function look(): void {
    // The histogram counts the whole time between two samples.
    const delayMs = Math.max(0, delays.percentile(PERCENTILE) / NANOSECONDS_PER_MS - RESOLUTION_MS)
    delays.reset()
    const wasLate = isLate
    isLate = delayMs > loopDelay
    nextLook.resolve()
    nextLook = Promise.withResolvers()
    if (isLate === wasLate) return
    if (isLate) logger.warn({ delayMs, loopDelay }, 'event loop is late: new uploads are put off')
    else logger.info({ delayMs }, 'event loop keeps up again')
  }

  return {
    isLate: () => isLate,
    isStillLate: async () => {
      for (let waited = 0; isLate && waited < PATIENCE && !stop.signal.aborted; waited += 1) {
        await nextLook.promise
      }
      return isLate
    },
    close: () => {
      stop.abort()
      delays.disable()
    },
  }
}
