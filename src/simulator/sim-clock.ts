/** Simulated time: nothing sleeps. Whoever waits is resumed in the order of due time, then of arrival. */
import { reasonOf } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'

export interface SimClock extends Clock {
  /** Moves to the next due time and resumes who waits for it. @returns false when nobody waits before `untilMs`. */
  step(untilMs: number): boolean
  /** A clock that is this one, moved by an offset that may change: one node's wall clock. */
  shifted(offsetMs: () => number): Clock
}

interface Sleeper {
  readonly dueMs: number
  readonly order: number
  readonly wake: () => void
}

export function createSimClock(startMs: number): SimClock {
  let now = startMs
  let order = 0
  const sleepers = new Set<Sleeper>()

  const clock: SimClock = {
    now: () => now,
    sleep: (ms, { signal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(reasonOf(signal))
          return
        }
        const onAbort = () => {
          sleepers.delete(sleeper)
          if (signal) reject(reasonOf(signal))
        }
        const wake = () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }
        order += 1
        const sleeper = { dueMs: now + Math.max(0, ms), order, wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    step: (untilMs) => {
      let first: Sleeper | undefined
      for (const one of sleepers) {
        if (one.dueMs > untilMs) continue
        if (
          !first ||
          one.dueMs < first.dueMs ||
          (one.dueMs === first.dueMs && one.order < first.order)
        ) {
          first = one
        }
      }
      if (first === undefined) return false
      now = Math.max(now, first.dueMs)
      sleepers.delete(first)
      first.wake()
      return true
    },
    shifted: (offsetMs) => ({
      now: () => now + offsetMs(),
      sleep: (ms, options) => clock.sleep(ms, options),
    }),
  }
  return clock
}

/** Lets everything run that does not wait for time: microtasks, ticks and immediates, all without real time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
