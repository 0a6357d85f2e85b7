/** Whether the event loop keeps up: from here on new uploads are put off, see `loopDelay` in bounds.ts. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'

export interface LoopWatch {
  /** As of the last window. */
  isLate(): boolean
  close(): void
}

/** What is looked at, milliseconds: long enough for one garbage collection not to count, short beside what clients wait. */
const WINDOW_MS = 5_000
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
    if (isLate === wasLate) return
    if (isLate) logger.warn({ delayMs, loopDelay }, 'event loop is late: new uploads are put off')
    else logger.info({ delayMs }, 'event loop keeps up again')
  }

  return {
    isLate: () => isLate,
    close: () => {
      stop.abort()
      delays.disable()
    },
  }
}
