/** The windows of a job: whether its bytes may move now, and how long still, or when again. */
import type { Clock } from '../lib/clock.ts'
import type { Schedule, WindowState } from '../topology/schedule.ts'

export interface Window {
  now(): WindowState
  /** Aborted when it closes after it was open; `[Symbol.dispose]` ends the watch. */
  watch(): { readonly signal: AbortSignal } & Disposable
}

export interface WindowDeps {
  readonly clock: Clock
  /** Of the node, IANA. */
  readonly timeZone: string
}

/** Slept at a time, milliseconds: so late it is seen that the clock was set. */
const LOOK_MS = 60_000

/** `windows` is asked again and again: what is asked for may change while the job runs. Undefined: always open. */
export function createWindow(
  { clock, timeZone }: WindowDeps,
  windows: () => readonly Schedule[] | undefined,
): Window {
  function now(): WindowState {
    const states = windows()?.map((one) => one.at(clock.now(), timeZone))
    if (states === undefined) return { isOpen: true, untilMs: Number.POSITIVE_INFINITY }
    const ends = states.flatMap((one) => (one.isOpen ? [one.untilMs] : []))
    if (ends.length > 0) return { isOpen: true, untilMs: Math.max(...ends) }
    const begins = states.flatMap((one) => (one.isOpen ? [] : [one.opensMs]))
    return { isOpen: false, opensMs: Math.min(...begins) }
  }

  async function run(closing: AbortController, over: AbortSignal): Promise<void> {
    // Before it opens nothing has to stop: manifests may come.
    let wasOpen = false
    for (let state = now(); state.isOpen || !wasOpen; state = now()) {
      wasOpen ||= state.isOpen
      const changesMs = state.isOpen ? state.untilMs : state.opensMs
      const leftMs = Math.min(changesMs - clock.now(), LOOK_MS)
      await clock.sleep(Math.max(1, leftMs), { signal: over })
    }
    closing.abort(new DOMException('its window closed', 'AbortError'))
  }

  return {
    now,
    watch: () => {
      const closing = new AbortController()
      const over = new AbortController()
      // What is always open costs no timer.
      if (windows() !== undefined) run(closing, over.signal).catch(() => {})
      return { signal: closing.signal, [Symbol.dispose]: () => over.abort() }
    },
  }
}
