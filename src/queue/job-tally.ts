/** Jobs in numbers. */
import type { JobState } from '../events/mesh-event.ts'

export function countStates(
  jobs: Iterable<{ readonly state: JobState }>,
): Readonly<Partial<Record<JobState, number>>> {
  const counts: Partial<Record<JobState, number>> = {}
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

/** When the oldest was made, milliseconds since the Unix epoch; undefined without jobs. */
export function oldestMs(jobs: Iterable<{ readonly createdAtMs: number }>): number | undefined {
  let oldest: number | undefined
  for (const { createdAtMs } of jobs) oldest = Math.min(oldest ?? createdAtMs, createdAtMs)
  return oldest
}
