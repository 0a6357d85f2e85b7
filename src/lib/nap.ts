/** A sleep that somebody else may end: of a loop that looks at something in time, and at once when it is told to. */
import type { Clock } from './clock.ts'

export interface Nap {
  /** One at a time. @returns whether all of the time passed; false when it was woken or the signal was aborted */
  take(ms: number, options?: { readonly signal?: AbortSignal }): Promise<boolean>
  /** Ends the nap under way, if there is one. */
  wake(): void
}

/** Made once: an error notes the stack, which costs more than the nap. */
const WOKEN = new Error('woken')

export function createNap({ clock }: { readonly clock: Pick<Clock, 'sleep'> }): Nap {
  let wake = () => {}
  return {
    take: (ms, { signal } = {}) => {
      const woken = new AbortController()
      wake = () => woken.abort(WOKEN)
      const either = signal === undefined ? woken.signal : AbortSignal.any([woken.signal, signal])
      return clock.sleep(ms, { signal: either }).then(
        () => true,
        () => false,
      )
    },
    wake: () => wake(),
  }
}

/** Waits until the promise settles, `ms` milliseconds at most. What it settles with is not looked at. */
export async function napUntil(
  promise: Promise<unknown>,
  ms: number,
  { clock, signal }: { readonly clock: Pick<Clock, 'sleep'>; readonly signal?: AbortSignal },
): Promise<void> {
  const nap = createNap({ clock })
  promise.then(nap.wake, nap.wake)
  await nap.take(ms, signal === undefined ? {} : { signal })
}
