/**
 * Whose turn it is: the line of ready jobs, those that were woken and come into it a few at a time, and those that a pause
 * holds back.
 */
import type { Job } from './job.ts'
import type { Pauses } from './pauses.ts'
import { createReadyLine, type ReadyLine } from './ready-line.ts'

export interface JobTurns extends Pick<ReadyLine, 'take'> {
  /** The job is queued. */
  enqueue(job: Job): void
  /** Its priority or its policies are others: it takes another place, or need not be held back any more. */
  reconsider(job: Job): void
  /** The job waits and need not any longer: it comes due when there is room. */
  wake(job: Job): void
  /** The job is elsewhere now. */
  leave(job: Job): void
  /** There may be room in the line. */
  refill(): void
  /** Other things are paused than before. */
  goOn(): void
}

/** Of jobs that were woken all at once, so many stand in the line: each worker finds one, and ten thousand do not stampede. */
const WOKEN_AT_ONCE = 64

export function createJobTurns(
  { pauses }: { readonly pauses: Pick<Pauses, 'ofJob'> },
  { onDue }: { readonly onDue: (job: Job) => void },
): JobTurns {
  const line = createReadyLine()
  /** Woken, and not in the line yet: as many as wait at most. */
  const woken = new Set<Job>()
  /** Would be taken or come due, were it not for a pause: as many as there are jobs at most. */
  const parked = new Set<Job>()
  const isPaused = (job: Job) => pauses.ofJob(job.policies) !== undefined

  function refill(): void {
    for (const job of woken) {
      if (line.size() >= WOKEN_AT_ONCE) return
      woken.delete(job)
      if (isPaused(job)) parked.add(job)
      else onDue(job)
    }
  }

  function unpark(job: Job): void {
    if (isPaused(job)) return
    parked.delete(job)
    if (job.state === 'queued') line.enqueue(job)
    else woken.add(job)
  }

  return {
    enqueue: line.enqueue,
    reconsider: (job) => {
      if (line.has(job)) line.enqueue(job)
      if (!parked.has(job)) return
      unpark(job)
      refill()
    },
    wake: (job) => void woken.add(job),
    leave: (job) => {
      line.remove(job)
      woken.delete(job)
      parked.delete(job)
    },
    refill,
    goOn: () => {
      for (const job of parked) unpark(job)
      refill()
    },
    take: (begin, { signal }) =>
      line.take(
        (job) => {
          if (!isPaused(job)) return begin(job)
          parked.add(job)
          return false
        },
        { signal },
      ),
  }
}
