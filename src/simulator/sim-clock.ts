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
  /** Gave up: it stays in the heap until its turn. */
  isGone: boolean
}

export function createSimClock(startMs: number): SimClock {
  let now = startMs
  let order = 0
  /** A binary heap: the first is the earliest. */
  const heap: Sleeper[] = []

  const clock: SimClock = {
    now: () => now,
    sleep: (ms, { signal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(reasonOf(signal))
          return
        }
        const onAbort = () => {
          sleeper.isGone = true
          if (signal) reject(reasonOf(signal))
        }
        const wake = () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }
        order += 1
        const sleeper = { dueMs: now + Math.max(0, ms), order, wake, isGone: false }
        push(heap, sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    step: (untilMs) => {
      for (let first = heap[0]; first !== undefined; first = heap[0]) {
        if (!first.isGone && first.dueMs > untilMs) return false
        pop(heap)
        if (first.isGone) continue
        now = Math.max(now, first.dueMs)
        first.wake()
        return true
      }
      return false
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

function isBefore(a: Sleeper, b: Sleeper): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

function push(heap: Sleeper[], sleeper: Sleeper): void {
  let at = heap.push(sleeper) - 1
  while (at > 0) {
    const parentAt = (at - 1) >> 1
    const parent = heap[parentAt]
    if (parent === undefined || isBefore(parent, sleeper)) break
    heap[at] = parent
    at = parentAt
  }
  heap[at] = sleeper
}

function pop(heap: Sleeper[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
    if (left === undefined) break
    const isRight = right !== undefined && isBefore(right, left)
    const child = isRight ? right : left
    if (isBefore(last, child)) break
    heap[at] = child
    at = 2 * at + (isRight ? 2 : 1)
  }
  heap[at] = last
}
