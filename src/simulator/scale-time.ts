/** Lets simulated time pass for a large mesh: whoever waits for the same moment goes on together. */
import { EntrepotError } from '../lib/errors.ts'
import { type SimClock, settle } from './sim-clock.ts'

export interface ScaleTime {
  /** @throws SIMULATION_STUCK when it is not so within `limitMs` */
  until(isDone: () => boolean, limitMs: number, what: string): Promise<void>
  pass(ms: number): Promise<void>
}

export function createScaleTime(clock: SimClock): ScaleTime {
  const time: ScaleTime = {
    until: async (isDone, limitMs, what) => {
      const end = clock.now() + limitMs
      await settle()
      while (!isDone()) {
        if (!clock.step(end)) {
          throw new EntrepotError('SIMULATION_STUCK', `${what}: not within ${limitMs} ms`)
        }
        let isMore = true
        while (isMore) isMore = clock.step(clock.now())
        await settle()
      }
    },
    pass: async (ms) => {
      let isOver = false
      void clock.sleep(ms).then(() => {
        isOver = true
      })
      await time.until(() => isOver, ms, 'time passes')
    },
  }
  return time
}
