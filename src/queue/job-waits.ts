/** The waits of jobs: each ends when its time has come, or is called off. */
import type { Clock } from '../lib/clock.ts'
import type { Job } from './job.ts'
import { MAX_DELAY_MS } from './job-delay.ts'

export interface JobWaits extends AsyncDisposable {
  /** Calls `onDue` when it is `untilMs` (milliseconds since the Unix epoch; Infinity: never), unless `end` comes first. A job has one wait. */
  begin(job: Job, untilMs: number): void
  /** Nothing happens for a job that does not wait. */
  end(job: Job): void
}

/** Slept at a time: a window may open in months, and timers hold 24 days. Also how late it is seen that the clock was set. */
const MAX_SLEEP_MS = 3_600_000

/** One for all: ten thousand that are woken would make ten thousand, each with a stack. */
const CALLED_OFF = new DOMException('the wait was called off', 'AbortError')

export function createJobWaits(
  { clock }: { readonly clock: Clock },
  { onDue }: { readonly onDue: (job: Job) => void },
): JobWaits {
  /** As many as jobs that wait. */
  const waits = new Map<Job, AbortController>()

  function end(job: Job): void {
    waits.get(job)?.abort(CALLED_OFF)
    waits.delete(job)
  }

  async function wait(job: Job, untilMs: number, stop: AbortController): Promise<void> {
    const leftMs = () => Math.max(0, untilMs - clock.now())
    while (leftMs() > MAX_DELAY_MS) {
      await clock.sleep(Math.min(leftMs(), MAX_SLEEP_MS), { signal: stop.signal })
    }
    // Waits after a try in vain are no longer than this: none gets longer because the clock was set back meanwhile.
    await clock.sleep(leftMs(), { signal: stop.signal })
    // Called off in the turn in which it came due.
    if (waits.get(job) !== stop) return
    waits.delete(job)
    onDue(job)
  }

  return {
    begin: (job, untilMs) => {
      end(job)
      const stop = new AbortController()
      waits.set(job, stop)
      wait(job, untilMs, stop).catch(() => {})
    },
    end,
    [Symbol.asyncDispose]: async () => {
      for (const job of waits.keys()) end(job)
    },
  }
}
