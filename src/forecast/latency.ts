/** Latency: how long a node takes at worst to hold what it has heard of, by its demand. */
import type { Demand } from '../topology/demand.ts'

/**
 * Milliseconds from the moment at which the bytes could be had until they are held, at worst. Eager: the shortest `slo.lag`
 * of the policies that ask for them. Scheduled: the longest time between two windows, and the transfer, which is `slo.lag`
 * or else one window. Infinity: its window never opens. Undefined: no policy says.
 */
export function delayOf({ windows, policies }: Demand, timeZone: string): number | undefined {
  const bounds = policies.map(({ mode, schedule, lagObjectiveMs }) => {
    if (windows === undefined) return mode === 'eager' ? lagObjectiveMs : undefined
    if (schedule === undefined) return undefined
    const { waitMs, windowMs } = schedule.rhythm(timeZone)
    const transferMs = lagObjectiveMs ?? windowMs
    // Where one is always open nothing has to wait. What is not done when a window ends goes on in the next one.
    const waits = waitMs === 0 ? 0 : Math.max(1, Math.ceil(transferMs / windowMs))
    return waitMs * waits + transferMs
  })
  // Where several schedules hold the bound of the best one holds too.
  const known = bounds.filter((bound) => bound !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
