/**
 * Hybrid logical time as one safe integer: milliseconds since the Unix epoch × 2048 + a counter. It stays close to
 * the wall clock, never goes back at its author, and orders cause before effect (Kulkarni et al., 2014).
 */
import type { Clock } from '../lib/clock.ts'

export type Time = number & { readonly __brand: 'Time' }

/** 2^42 ms is the year 2109; 2^42 × 2^11 = 2^53 is the end of the safe integers. A full counter carries into the ms. */
const TICKS_PER_MS = 2048

export function timeOfMs(ms: number): Time {
  return Math.floor(ms * TICKS_PER_MS) as Time
}

/** Milliseconds since the Unix epoch. */
export function msOfTime(time: Time): number {
  return Math.floor(time / TICKS_PER_MS)
}

/** Which one it is of its millisecond, from 0 to 2047. */
export function countOfTime(time: Time): number {
  return time % TICKS_PER_MS
}

export function isTime(value: number): value is Time {
  return Number.isSafeInteger(value) && value > 0
}

export interface LogicalClock {
  /** A time greater than every one given out before and than all of `after`. */
  next(after: Iterable<Time>): Time
  /** Takes note of a time seen elsewhere: later ones of this node are greater. */
  observe(time: Time): void
  /** The greatest time given out or seen. */
  newest(): Time
}

export function createLogicalClock(
  deps: { readonly clock: Clock },
  last: Time = 0 as Time,
): LogicalClock {
  let newest: number = last
  return {
    next: (after) => {
      for (const time of after) newest = Math.max(newest, time)
      newest = Math.max(newest + 1, timeOfMs(deps.clock.now()))
      return newest as Time
    },
    observe: (time) => {
      newest = Math.max(newest, time)
    },
    newest: () => newest as Time,
  }
}
