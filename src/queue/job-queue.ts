/**
 * The queue: which jobs there are. They are derived from what is wanted and not held, so nothing here is lost in a crash;
 * duplicates join, newer news supersedes, and what fails waits and is tried again for ever.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { JobView, WaitCause } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { PullPlan } from '../planner/planner.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import { type Job, jobId, jobOf, viewOf } from './job.ts'
import { delayAfter, MAX_DELAY_MS, NEWS_AHEAD_MS } from './job-delay.ts'
import { isEnd, type Move, next } from './job-machine.ts'
import { createJobRows } from './job-rows.ts'
import type { JobStore } from './job-store.ts'
import { createJobWaits } from './job-waits.ts'
import { createReadyLine } from './ready-line.ts'

export interface JobQueue extends AsyncDisposable {
  /** Makes the plan's job, or joins it; older jobs of the same key lose it. */
  add(plan: PullPlan): void
  /** Nothing is wanted for the key any more. */
  forget(key: RecordKey): void
  /** The oldest queued job, now running; waits for one. @throws the signal's reason */
  take(options: { readonly signal: AbortSignal }): Promise<Job>
  /** Done: what waits because this node could not keep something is tried again. */
  finish(job: Job): void
  /** Tried in vain: waits for a time, or for a holder. */
  defer(job: Job, why: Deferral): void
  vanish(job: Job, reason: string): void
  /** Progress of a running job. */
  note(job: Job, change: Partial<Pick<Job, 'phase' | 'bytesDone' | 'bytesTotal'>>): void
  /** A holder may have come: the job need not wait longer. */
  wake(repository: RepositoryName, digest: Digest): void
  /** A neighbour or the disk came back: every job goes on, so many at a time as the workers take. */
  wakeAll(): void
  /** A person's cancel: stays until a retry or newer news. @returns false when there is no such job to hold. */
  hold(id: string): boolean
  retry(id: string): boolean
  list(): readonly JobView[]
  get(id: string): JobView | undefined
  /** Whether the job has not ended. */
  isOpen(id: string): boolean
  /** When the oldest job that has not ended was made, milliseconds since the Unix epoch; undefined without jobs. */
  oldestMs(): number | undefined
  /** Jobs that are queued, running or waiting. */
  openCount(): number
}

export interface Deferral {
  readonly kind: WaitCause
  readonly reason: string
}

/** Ended jobs that are still listed: a screenful for a person; the truth is in the index. */
const HISTORY = 200
/** Of jobs that were woken all at once, so many stand in the line: each worker finds one, and ten thousand do not stampede. */
const WOKEN_AT_ONCE = 64

export interface JobQueueDeps {
  readonly store: Pick<JobStore, 'load' | 'save' | 'remove'>
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Whether a neighbour is known to hold the manifest. Without an answer every job begins at once. */
  readonly hasHolder?: (repository: RepositoryName, digest: Digest) => boolean
}

export function createJobQueue(deps: JobQueueDeps): JobQueue {
  const { store, events, clock, random, logger, hasHolder = () => true } = deps
  /** In order of arrival. */
  const jobs = new Map<string, Job>()
  const byKey = new Map<string, string>()
  const ended: JobView[] = []
  const line = createReadyLine()
  const rows = createJobRows({ store, logger })
  const waits = createJobWaits({ clock }, { onDue: (job) => void move(job, 'due') })
  /** Woken, and not in the line yet: as many as wait at most. */
  const woken = new Set<Job>()
  /** Wait because this node could not keep what came. */
  const atFault = new Set<Job>()

  function move(job: Job, name: Move, change: Partial<Job> = {}): boolean {
    const state = next(job.state, name)
    if (state === undefined) return false
    const fresh = { phase: undefined, reason: undefined, cause: undefined, nextTryAtMs: undefined }
    Object.assign(job, fresh, change)
    job.state = state
    job.changedAtMs = clock.now()
    line.remove(job)
    waits.end(job)
    woken.delete(job)
    atFault.delete(job)
    if (isEnd(state)) end(job)
    events.emit({ kind: 'job-changed', job: viewOf(job) })
    if (state === 'queued') line.enqueue(job)
    else refill()
    return true
  }

  function refill(): void {
    for (const job of woken) {
      if (line.size() >= WOKEN_AT_ONCE) return
      move(job, 'due')
    }
  }

  function end(job: Job): void {
    jobs.delete(job.id)
    for (const reference of job.references) {
      const key = keyText({ repository: job.repository, reference })
      if (byKey.get(key) === job.id) byKey.delete(key)
    }
    ended.push(viewOf(job))
    ended.splice(0, ended.length - HISTORY)
    rows.remove(job.id)
  }

  function detach(text: string, reference: Job['digest'] | string): void {
    const job = jobs.get(byKey.get(text) ?? '')
    byKey.delete(text)
    if (job === undefined) return
    job.references.delete(reference as never)
    // A running one finishes: its bytes are worth having, and it may be the newest again.
    if (job.references.size === 0 && job.state !== 'running') {
      move(job, 'supersede', { reason: 'newer news' })
    }
  }

  function create(plan: PullPlan): Job {
    const now = clock.now()
    const isKnown = hasHolder(plan.key.repository, plan.digest)
    const readyAtMs = isKnown ? now : now + NEWS_AHEAD_MS
    const row = rows.load(jobId(plan.key.repository, plan.digest))
    return jobOf(plan, row, { now, readyAtMs })
  }

  return {
    add: (plan) => {
      const text = keyText(plan.key)
      const id = jobId(plan.key.repository, plan.digest)
      if (byKey.get(text) !== id) detach(text, plan.key.reference)
      byKey.set(text, id)
      const known = jobs.get(id)
      const job = known ?? create(plan)
      job.references.add(plan.key.reference)
      if (known === undefined) {
        jobs.set(id, job)
        // The wall clock may have gone back since the row was written: nothing waits longer than the longest wait.
        const ms = Math.min((job.nextTryAtMs ?? 0) - clock.now(), MAX_DELAY_MS)
        if (job.state === 'waiting') waits.begin(job, ms)
        events.emit({ kind: 'job-changed', job: viewOf(job) })
        if (job.state === 'queued') line.enqueue(job)
        return
      }
      job.recordId = plan.recordId
      if (job.state === 'held' && job.heldFor !== plan.recordId)
        move(job, 'release', { heldFor: undefined })
    },
    forget: ({ repository, reference }) => detach(keyText({ repository, reference }), reference),
    take: ({ signal }) =>
      line.take(
        (job) => {
          job.stop = new AbortController()
          job.isWoken = false
          move(job, 'start', { attempts: job.attempts + 1, bytesDone: 0 })
        },
        { signal },
      ),
    finish: (job) => {
      if (!move(job, 'finish')) return
      for (const other of atFault) woken.add(other)
      refill()
    },
    defer: (job, { kind, reason }) => {
      if (job.references.size === 0) {
        move(job, 'supersede', { reason: 'newer news' })
        return
      }
      const ms = delayAfter(job, kind, random)
      const { isWoken } = job
      const change = { reason, cause: kind, nextTryAtMs: clock.now() + ms }
      if (!move(job, 'defer', change)) return
      if (isWoken) {
        move(job, 'due')
        return
      }
      if (kind === 'local-fault') atFault.add(job)
      rows.save(job)
      waits.begin(job, ms)
    },
    vanish: (job, reason) => void move(job, 'vanish', { reason }),
    note: (job, change) => {
      if (job.state !== 'running') return
      Object.assign(job, change)
      job.changedAtMs = clock.now()
      events.emit({ kind: 'job-changed', job: viewOf(job) })
    },
    wake: (repository, digest) => {
      const job = jobs.get(jobId(repository, digest))
      if (job?.state === 'waiting') move(job, 'due')
      // It may be asking the one that held nothing a moment ago.
      if (job?.state === 'running') job.isWoken = true
    },
    wakeAll: () => {
      for (const job of jobs.values()) {
        if (job.state === 'waiting') woken.add(job)
        if (job.state === 'running') job.isWoken = true
      }
      refill()
    },
    hold: (id) => {
      const job = jobs.get(id)
      if (job === undefined) return false
      const held = { heldFor: job.recordId, reason: 'cancelled by an operator' }
      if (!move(job, 'hold', held)) return job.state === 'held'
      job.stop.abort(new DOMException('job was cancelled', 'AbortError'))
      rows.save(job)
      return true
    },
    retry: (id) => {
      const job = jobs.get(id)
      if (job === undefined || !move(job, 'release', { heldFor: undefined })) return false
      rows.save(job)
      return true
    },
    list: () => [...[...jobs.values()].map(viewOf), ...ended],
    get: (id) => {
      const job = jobs.get(id)
      return job === undefined ? ended.findLast((view) => view.id === id) : viewOf(job)
    },
    isOpen: (id) => jobs.has(id),
    oldestMs: () => {
      let oldest: number | undefined
      for (const { createdAtMs } of jobs.values()) {
        oldest = Math.min(oldest ?? createdAtMs, createdAtMs)
      }
      return oldest
    },
    openCount: () => [...jobs.values()].filter(({ state }) => state !== 'held').length,
    [Symbol.asyncDispose]: () => waits[Symbol.asyncDispose](),
  }
}
