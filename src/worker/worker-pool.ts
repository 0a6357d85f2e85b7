/** The pool: so many workers take jobs from the queue and carry them out. What fails waits; nothing is given up. */
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Job } from '../queue/job.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { carryOut, type PhasesDeps, type Progress } from './phases.ts'

export interface WorkerPoolDeps extends PhasesDeps {
  readonly queue: JobQueue
  readonly clock: Clock
  readonly logger: Logger
  /** Looks again at keys whose job ended: news may have come while it ran. */
  readonly consider: (key: RecordKey) => void
  /** Whether the newest record of some reference still asks for the job. */
  readonly isWanted: (job: Job) => boolean
}

/** Progress is told at most this often a job, milliseconds: a screen shows no more. */
const PROGRESS_MS = 200

export interface WorkerPool extends AsyncDisposable {
  start(): void
}

export function createWorkerPool(
  deps: WorkerPoolDeps,
  { workers }: { readonly workers: number },
): WorkerPool {
  const { queue, clock, logger } = deps
  const stop = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  async function work(): Promise<void> {
    while (!stop.signal.aborted) {
      const job = await queue.take({ signal: stop.signal }).catch(() => undefined)
      if (job === undefined) return
      await run(job)
    }
  }

  async function run(job: Job): Promise<void> {
    // Of this run: after a cancel and a retry the job has another one.
    const cancel = job.stop.signal
    const signal = AbortSignal.any([stop.signal, cancel])
    const { repository, digest } = job
    try {
      const references = () => [...job.references]
      const outcome = await carryOut(deps, { repository, digest, references }, progressOf(job), {
        signal,
      })
      if (cancel.aborted) return
      if (outcome.kind === 'done') queue.finish(job)
      else if (outcome.kind === 'no-holder' && outcome.askedAll && !deps.isWanted(job)) {
        queue.vanish(job, outcome.reason)
      } else queue.defer(job, outcome)
    } catch (err) {
      // Stopped with the node: the job is derived again at the next start.
      if (stop.signal.aborted || cancel.aborted) return
      logger.error({ err, repository, digest }, 'job failed on this node')
      queue.defer(job, { kind: 'local-fault', reason: messageOf(err) })
    } finally {
      for (const reference of job.references) deps.consider({ repository, reference })
    }
  }

  function progressOf(job: Job): Progress {
    let toldAt = 0
    return {
      phase: (phase) => queue.note(job, { phase }),
      bytes: (bytesDone, bytesTotal) => {
        const now = clock.now()
        if (bytesDone < bytesTotal && Math.abs(now - toldAt) < PROGRESS_MS) return
        toldAt = now
        queue.note(job, { bytesDone, bytesTotal })
      },
    }
  }

  return {
    start: () => {
      running = Promise.all(Array.from({ length: workers }, work))
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort(new DOMException('node is stopping', 'AbortError'))
      await running
    },
  }
}
