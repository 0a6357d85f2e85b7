/** The line of jobs that are ready to run, and of the workers that wait for one: first come, first served, at both ends. */
import { reasonOf } from '../lib/abort.ts'
import type { Job } from './job.ts'

export interface ReadyLine {
  /** Puts a job at the end and wakes one taker. */
  enqueue(job: Job): void
  /** Takes a job out, wherever it stands. */
  remove(job: Job): void
  /**
   * Takes the first job out; waits for one. `begin` runs in the turn in which it leaves the line: nobody sees it between.
   * @throws the signal's reason
   */
  take(begin: (job: Job) => void, options: { readonly signal: AbortSignal }): Promise<Job>
  size(): number
}

export function createReadyLine(): ReadyLine {
  const ready = new Set<Job>()
  const takers: (() => void)[] = []

  return {
    enqueue: (job) => {
      ready.add(job)
      takers.shift()?.()
    },
    remove: (job) => void ready.delete(job),
    take: async (begin, { signal }) => {
      for (;;) {
        if (signal.aborted) {
          // It may have been woken before it gave up: the job is for somebody else then.
          if (ready.size > 0) takers.shift()?.()
          throw reasonOf(signal)
        }
        for (const job of ready) {
          ready.delete(job)
          begin(job)
          return job
        }
        await woken(takers, signal)
      }
    },
    size: () => ready.size,
  }
}

/** Resolves when a job was queued. A taker that gives up must not swallow the wake of another. */
function woken(takers: (() => void)[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      takers.splice(takers.indexOf(wake), 1)
      reject(reasonOf(signal))
    }
    const wake = () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }
    takers.push(wake)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
