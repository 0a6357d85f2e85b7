/** Latency: how long a node takes at worst to hold what it has heard of, by its demand. */
import type { Demand } from '../topology/demand.ts'
import type { Schedule } from '../topology/schedule.ts'

const MS_PER_DAY = 86_400_000
/** Windows are looked at over so long: every day of the year and both changes of daylight saving time. */
const SPAN_MS = 366 * MS_PER_DAY
/** Openings and closings looked at, some 0.3 ms each: four windows a day for a year. A schedule with more is not known. */
const MAX_STEPS = 3_000
/** The same year for everybody, so that a file's promises do not change with the day on which it is read. It has a 29th of February. */
const FROM_MS = Date.UTC(2028, 0, 1)

interface Worst {
  /** The longest time for which no window is open, milliseconds. Infinity: none ever opens again. */
  readonly waitMs: number
  /** How long a window lasts, milliseconds: the shortest one. */
  readonly windowMs: number
}

/** By schedule and time zone: the same few are asked for at each node. */
const measured = new WeakMap<Schedule, Map<string, Worst | undefined>>()

/**
 * Milliseconds from the moment at which the bytes could be had until they are held, at worst. Eager: the shortest `slo.lag`
 * of the policies that ask for them. Scheduled: the longest time between two windows, and the transfer, which is `slo.lag`
 * or else one window. Infinity: its window never opens. Undefined: no policy says.
 */
export function delayOf({ windows, policies }: Demand, timeZone: string): number | undefined {
  const bounds = policies.map(({ mode, schedule, lagObjectiveMs }) => {
    if (windows === undefined) return mode === 'eager' ? lagObjectiveMs : undefined
    const worst = schedule === undefined ? undefined : worstOf(schedule, timeZone)
    if (worst === undefined) return undefined
    const transferMs = lagObjectiveMs ?? worst.windowMs
    // What is not done when a window ends goes on in the next one.
    return worst.waitMs * Math.max(1, Math.ceil(transferMs / worst.windowMs)) + transferMs
  })
  // Where several schedules hold the bound of the best one holds too.
  const known = bounds.filter((bound) => bound !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** Undefined: it has too many windows to look at. */
function worstOf(schedule: Schedule, timeZone: string): Worst | undefined {
  const known = measured.get(schedule) ?? new Map<string, Worst | undefined>()
  measured.set(schedule, known)
  if (!known.has(timeZone)) known.set(timeZone, measure(schedule, timeZone))
  return known.get(timeZone)
}

function measure(schedule: Schedule, timeZone: string): Worst | undefined {
  let [waitMs, windowMs] = [0, Number.POSITIVE_INFINITY]
  let [at, opened, closedMs] = [FROM_MS, 0, FROM_MS]
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const state = schedule.at(at, timeZone)
    if (state.isOpen) {
      // The first one began before the look did.
      if (at > FROM_MS) windowMs = Math.min(windowMs, state.untilMs - at)
      at = state.untilMs
    } else {
      if (opened > 0 || state.opensMs === Number.POSITIVE_INFINITY) {
        waitMs = Math.max(waitMs, state.opensMs - at)
      }
      if (waitMs === Number.POSITIVE_INFINITY) return { waitMs, windowMs: 1 }
      opened += 1
      closedMs = at
      at = state.opensMs
    }
    // A schedule of leap days needs more than its year.
    const isSeen = at - FROM_MS >= SPAN_MS && opened > 1
    if (isSeen || at - closedMs >= SPAN_MS) return { waitMs, windowMs }
  }
  return undefined
}
