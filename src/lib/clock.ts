/** The only source of time. Everything that decides takes a Clock, so that a simulation can own time. */
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. May jump: never use it to measure a duration. */
  now(): number
  /** Waits `ms` milliseconds. @throws the signal's reason when it is aborted first. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, { signal } = {}) => delay(ms, undefined, signal === undefined ? {} : { signal }),
}
