/** The waits of jobs: each ends when its time has come, or is called off. */
import type { Clock } from '../lib/clock.ts'
import type { Job } from './job.ts'

export interface JobWaits extends AsyncDisposable {
  /** Calls `onDue` after `ms` milliseconds, unless `end` comes first. A job has one wait. */
  begin(job: Job, ms: number): void
  /** Nothing happens for a job that does not wait. */
  end(job: Job): void
}

export function createJobWaits(
  { clock }: { readonly clock: Clock },
  { onDue }: { readonly onDue: (job: Job) => void },
): JobWaits {
  /** As many as jobs that wait. */
  const waits = new Map<Job, AbortController>()

  function end(job: Job): void {
    waits.get(job)?.abort()
    waits.delete(job)
  }

  return {
    begin: (job, ms) => {
      end(job)
      const stop = new AbortController()
      waits.set(job, stop)
      clock.sleep(ms, { signal: stop.signal }).then(
        () => {
          // Called off in the turn in which it came due.
          if (waits.get(job) !== stop) return
          waits.delete(job)
          onDue(job)
        },
        () => {},
      )
    },
    end,
    [Symbol.asyncDispose]: async () => {
      for (const job of waits.keys()) end(job)
    },
  }
}
