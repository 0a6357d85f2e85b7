/** The pool: so many workers take jobs from the queue and carry them out. What fails waits; nothing is given up. */
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { isDigest } from '../oci/name.ts'
import type { Job } from '../queue/job.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { coversPlatforms } from '../topology/platforms.ts'
import { carryOut, type PhasesDeps, type Progress } from './phases.ts'
import { createWindow } from './window.ts'

export interface WorkerPoolDeps extends PhasesDeps {
  readonly queue: JobQueue
  readonly clock: Clock
  readonly logger: Logger
  /** Looks again at keys whose job ended: news may have come while it ran. */
  readonly consider: (key: RecordKey) => void
  /** Whether the newest record of some reference still asks for the job, and it may yet be found. */
  readonly isWanted: (job: Job) => boolean
  /** Told of keys whose job is gone. */
  readonly giveUp: (key: RecordKey) => void
  /** Of the node, IANA: for windows. */
  readonly timeZone: string
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
    const window = createWindow(deps, () => job.windows)
    using open = window.watch()
    const signal = AbortSignal.any([stop.signal, cancel, open.signal])
    const { repository, digest, platforms } = job
    let isGone = false
    try {
      // What joined meanwhile and asks for more has a job of its own after this one.
      const references = () =>
        [...job.references].filter((one) =>
          coversPlatforms(platforms, job.asks.get(one)?.platforms ?? 'all'),
        )
      const work = { repository, digest, platforms, window, references }
      const outcome = await carryOut(deps, work, progressOf(job), { signal })
      if (cancel.aborted) return
      if (outcome.kind === 'done') queue.finish(job)
      else if (outcome.kind === 'window') wait(job, outcome.opensMs)
      else if (outcome.kind === 'no-holder' && outcome.askedAll && !deps.isWanted(job)) {
        isGone = true
        queue.vanish(job, outcome.reason)
      } else queue.defer(job, outcome)
    } catch (err) {
      // Stopped with the node: the job is derived again at the next start.
      if (stop.signal.aborted || cancel.aborted) return
      const state = window.now()
      if (open.signal.aborted) return wait(job, state.isOpen ? clock.now() : state.opensMs)
      logger.error({ err, repository, digest }, 'job failed on this node')
      queue.defer(job, { kind: 'local-fault', reason: messageOf(err) })
    } finally {
      for (const reference of job.references) {
        if (isGone && isDigest(reference)) deps.giveUp({ repository, reference })
        else deps.consider({ repository, reference })
      }
    }
  }

  /** What it has is kept: it goes on from there. */
  function wait(job: Job, untilMs: number): void {
    const isEver = Number.isFinite(untilMs)
    const when = isEver ? `opens at ${new Date(untilMs).toISOString()}` : 'never opens again'
    queue.defer(job, { kind: 'window', reason: `waits for its window, which ${when}`, untilMs })
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
