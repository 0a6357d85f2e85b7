/**
 * The line of jobs that are ready to run, and of the workers that wait for one. Of jobs the highest priority goes first, and
 * within it who came first; of workers who came first.
 */
import { reasonOf } from '../lib/abort.ts'
import type { Job } from './job.ts'

export interface ReadyLine {
  /** Puts a job at the end of its priority and wakes one taker. One that stands there with another priority changes its place. */
  enqueue(job: Job): void
  /** Takes a job out, wherever it stands. */
  remove(job: Job): void
  /**
   * Takes the first job out; waits for one. `begin` runs in the turn in which it leaves the line: nobody sees it between.
   * Where it says false the job is kept elsewhere, and the next one is looked at.
   * @throws the signal's reason
   */
  take(begin: (job: Job) => boolean, options: { readonly signal: AbortSignal }): Promise<Job>
  has(job: Job): boolean
  size(): number
}

export function createReadyLine(): ReadyLine {
  /** By priority: as many as policies say at most. None is empty. */
  const ranks = new Map<number, Set<Job>>()
  const places = new Map<Job, number>()
  const takers: (() => void)[] = []

  function remove(job: Job): void {
    const priority = places.get(job)
    if (priority === undefined) return
    places.delete(job)
    const rank = ranks.get(priority)
    rank?.delete(job)
    if (rank?.size === 0) ranks.delete(priority)
  }

  function first(): Job | undefined {
    const [job] = ranks.get(Math.max(...ranks.keys())) ?? []
    return job
  }

  return {
    enqueue: (job) => {
      if (places.get(job) === job.priority) return
      remove(job)
      places.set(job, job.priority)
      const rank = ranks.get(job.priority) ?? new Set()
      ranks.set(job.priority, rank.add(job))
      takers.shift()?.()
    },
    remove,
    take: async (begin, { signal }) => {
      for (;;) {
        if (signal.aborted) {
          // It may have been woken before it gave up: the job is for somebody else then.
          if (places.size > 0) takers.shift()?.()
          throw reasonOf(signal)
        }
        const job = first()
        if (job === undefined) {
          await woken(takers, signal)
          continue
        }
        remove(job)
        if (begin(job)) return job
      }
    },
    has: (job) => places.has(job),
    size: () => places.size,
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
