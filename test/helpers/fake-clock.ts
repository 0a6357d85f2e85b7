/** Time that stands still until a test moves it. Sleepers wake in the order of due time, then of arrival. */
import { reasonOf } from '../../src/lib/abort.ts'
import type { Clock } from '../../src/lib/clock.ts'

export interface FakeClock extends Clock {
  /** Moves on by `ms` milliseconds; whoever is due on the way runs at its own time. */
  advance(ms: number): Promise<void>
  /** The wall clock jumps, forwards or back; nobody wakes. */
  jump(ms: number): void
  /** How many wait. */
  sleeping(): number
}

interface Sleeper {
  /** On the clock's own count of time that passed, which never jumps. */
  readonly dueMs: number
  readonly wake: () => void
}

/** 2026-01-01T00:00:00Z, milliseconds: any instant does, a round one reads well in a failure. */
export const START_MS = 1_767_225_600_000

export function createFakeClock(startMs = START_MS): FakeClock {
  let passedMs = 0
  let wallMs = startMs
  const sleepers = new Set<Sleeper>()

  return {
    now: () => wallMs + passedMs,
    sleep: (ms, { signal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(reasonOf(signal))
          return
        }
        const onAbort = () => {
          sleepers.delete(sleeper)
          if (signal !== undefined) reject(reasonOf(signal))
        }
        const wake = () => {
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }
        const sleeper = { dueMs: passedMs + Math.max(0, ms), wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    advance: async (ms) => {
      const untilMs = passedMs + ms
      for (;;) {
        await settle()
        // Sorting is stable: sleepers of one instant keep the order in which they came.
        const [first] = [...sleepers].sort((a, b) => a.dueMs - b.dueMs)
        if (first === undefined || first.dueMs > untilMs) break
        passedMs = Math.max(passedMs, first.dueMs)
        first.wake()
      }
      passedMs = untilMs
      await settle()
    },
    jump: (ms) => {
      wallMs += ms
    },
    sleeping: () => sleepers.size,
  }
}

/** Lets everything run that waits neither for time nor for a disk. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
