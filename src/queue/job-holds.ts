/** Holds: a person's word about one job, until the word is taken back or newer news. */
import type { Job } from './job.ts'
import type { Move } from './job-machine.ts'
import type { JobQueue } from './job-queue.ts'
import type { JobRows } from './job-rows.ts'

export interface JobHoldsDeps {
  readonly find: (id: string) => Job | undefined
  readonly move: (job: Job, name: Move, change?: Partial<Job>) => boolean
  readonly supersede: (job: Job) => void
  readonly rows: Pick<JobRows, 'save'>
}

export function createJobHolds({
  find,
  move,
  supersede,
  rows,
}: JobHoldsDeps): Pick<JobQueue, 'hold' | 'retry' | 'resume'> {
  function release(job: Job): boolean {
    if (!move(job, 'release', { heldFor: undefined, isPaused: false })) return false
    rows.save(job)
    return true
  }

  return {
    hold: (id, how = 'cancel') => {
      const job = find(id)
      if (job === undefined) return false
      const isPaused = how === 'pause'
      // What was cancelled stays so: its end is a retry, not a resume.
      if (job.state === 'held' && isPaused) return job.isPaused
      const reason = isPaused ? 'paused by an operator' : 'cancelled by an operator'
      if (job.references.size === 0) supersede(job)
      else if (!move(job, 'hold', { heldFor: job.recordId, reason, isPaused })) return false
      job.stop.abort(new DOMException(`job was ${reason}`, 'AbortError'))
      if (job.state === 'held') rows.save(job)
      return true
    },
    retry: (id) => {
      const job = find(id)
      return job !== undefined && release(job)
    },
    resume: (id) => {
      const job = find(id)
      return job?.state === 'held' && job.isPaused && release(job)
    },
  }
}
