/**
 * The queue: which jobs there are and which runs next. Jobs are derived from what is wanted and not held, so nothing
 * here is lost in a crash; duplicates join, newer news supersedes, and what fails waits and is tried again for ever.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { JobView } from '../events/mesh-event.ts'
import { reasonOf } from '../lib/abort.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { PullPlan } from '../planner/planner.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import { type Job, jobId, viewOf } from './job.ts'
import { isEnd, type Move, next } from './job-machine.ts'
import type { JobStore } from './job-store.ts'

export interface JobQueue extends AsyncDisposable {
  /** Makes the plan's job, or joins it; older jobs of the same key lose it. */
  add(plan: PullPlan): void
  /** Nothing is wanted for the key any more. */
  forget(key: RecordKey): void
  /** The oldest queued job, now running; waits for one. @throws the signal's reason */
  take(options: { readonly signal: AbortSignal }): Promise<Job>
  finish(job: Job): void
  /** Tried in vain: waits for a time, or for a holder. */
  defer(job: Job, why: Deferral): void
  vanish(job: Job, reason: string): void
  /** Progress of a running job. */
  note(job: Job, change: Partial<Pick<Job, 'phase' | 'bytesDone' | 'bytesTotal'>>): void
  /** A holder may have come: the job need not wait longer. */
  wake(repository: RepositoryName, digest: Digest): void
  wakeAll(): void
  /** A person's cancel: stays until a retry or newer news. @returns false when there is no such job to hold. */
  hold(id: string): boolean
  retry(id: string): boolean
  list(): readonly JobView[]
  get(id: string): JobView | undefined
  /** When the oldest job that has not ended was made, milliseconds since the Unix epoch; undefined without jobs. */
  oldestMs(): number | undefined
  /** Jobs that are queued, running or waiting. */
  openCount(): number
}

export interface Deferral {
  readonly kind: 'failed' | 'no-holder'
  readonly reason: string
}

/** Ended jobs that are still listed: a screenful for a person; the truth is in the index. */
const HISTORY = 200
const FAILED = { firstMs: 1_000, capMs: 60_000 }
/** No holder: the feed says when one comes, so this is only the safety net. */
const NO_HOLDER = { firstMs: 5_000, capMs: 300_000 }
/**
 * News runs ahead of content: a job whose manifest nobody is known to hold yet waits so long, milliseconds, for a holder to show
 * up before it asks blindly. Content that a relay has held since before this node started is fetched after that.
 */
const NEWS_AHEAD_MS = 500

export interface JobQueueDeps {
  readonly store: JobStore
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
  const ready = new Set<Job>()
  const ended: JobView[] = []
  const takers: (() => void)[] = []
  const stop = new AbortController()
  /** Jobs that have a row, or one that is being written: as many as `jobs` at most. */
  const stored = new Set<string>()

  function move(job: Job, name: Move, change: Partial<Job> = {}): boolean {
    const state = next(job.state, name)
    if (state === undefined) return false
    Object.assign(job, { phase: undefined, reason: undefined, nextTryAtMs: undefined }, change)
    job.state = state
    job.changedAtMs = clock.now()
    ready.delete(job)
    if (isEnd(state)) end(job)
    events.emit({ kind: 'job-changed', job: viewOf(job) })
    if (state === 'queued') enqueue(job)
    return true
  }

  function enqueue(job: Job): void {
    ready.add(job)
    takers.shift()?.()
  }

  function end(job: Job): void {
    jobs.delete(job.id)
    for (const reference of job.references) {
      const key = keyText({ repository: job.repository, reference })
      if (byKey.get(key) === job.id) byKey.delete(key)
    }
    ended.push(viewOf(job))
    ended.splice(0, ended.length - HISTORY)
    if (stored.delete(job.id)) persist(store.remove(job.id))
  }

  function save(job: Job): void {
    stored.add(job.id)
    const { attempts, createdAtMs, changedAtMs, nextTryAtMs, reason, heldFor } = job
    const row = { references: [...job.references], attempts, createdAtMs, changedAtMs }
    persist(
      store.save(job.id, {
        ...row,
        ...(nextTryAtMs === undefined ? {} : { nextTryAtMs }),
        ...(reason === undefined ? {} : { reason }),
        ...(heldFor === undefined ? {} : { heldFor }),
      }),
    )
  }

  /** A row that could not be written costs an attempt count, not a job. */
  function persist(write: Promise<void>): void {
    write.catch((err: unknown) => logger.warn({ err }, 'job row not written'))
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
    const { repository } = plan.key
    const id = jobId(repository, plan.digest)
    const row = store.load(id)
    if (row !== undefined) stored.add(id)
    const now = clock.now()
    const isHeld = row?.heldFor !== undefined && row.heldFor === plan.recordId
    const isKnown = hasHolder(repository, plan.digest)
    const nextTryAtMs = row?.nextTryAtMs ?? (isKnown ? now : now + NEWS_AHEAD_MS)
    const mustWait = !isHeld && nextTryAtMs > now
    const job: Job = {
      id,
      repository,
      digest: plan.digest,
      references: new Set(),
      createdAtMs: row?.createdAtMs ?? now,
      state: isHeld ? 'held' : mustWait ? 'waiting' : 'queued',
      bytesDone: 0,
      attempts: row?.attempts ?? 0,
      reason: row?.reason ?? (mustWait ? 'nobody is known to hold it yet' : undefined),
      nextTryAtMs: mustWait ? nextTryAtMs : undefined,
      changedAtMs: now,
      heldFor: isHeld ? row?.heldFor : undefined,
      recordId: plan.recordId,
      isWoken: false,
      stop: new AbortController(),
    }
    if (mustWait) wait(job, nextTryAtMs - now)
    return job
  }

  function wait(job: Job, ms: number): void {
    const { changedAtMs } = job
    // The wall clock may have gone back since the row was written: nothing waits longer than the longest wait.
    clock.sleep(Math.min(ms, NO_HOLDER.capMs), { signal: stop.signal }).then(
      () => {
        if (job.state === 'waiting' && job.changedAtMs === changedAtMs) move(job, 'due')
      },
      () => {},
    )
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
        events.emit({ kind: 'job-changed', job: viewOf(job) })
        if (job.state === 'queued') enqueue(job)
        return
      }
      job.recordId = plan.recordId
      if (job.state === 'held' && job.heldFor !== plan.recordId)
        move(job, 'release', { heldFor: undefined })
    },
    forget: ({ repository, reference }) => detach(keyText({ repository, reference }), reference),
    take: async ({ signal }) => {
      for (;;) {
        if (signal.aborted) {
          // It may have been woken before it gave up: the job is for somebody else then.
          if (ready.size > 0) takers.shift()?.()
          throw reasonOf(signal)
        }
        for (const job of ready) {
          job.stop = new AbortController()
          job.isWoken = false
          move(job, 'start', { attempts: job.attempts + 1, bytesDone: 0 })
          return job
        }
        await woken(takers, signal)
      }
    },
    finish: (job) => void move(job, 'finish'),
    defer: (job, { kind, reason }) => {
      if (job.references.size === 0) {
        move(job, 'supersede', { reason: 'newer news' })
        return
      }
      const ms = backoffMs(job.attempts, kind === 'failed' ? FAILED : NO_HOLDER, random)
      if (!move(job, 'defer', { reason, nextTryAtMs: clock.now() + ms })) return
      if (job.isWoken) {
        move(job, 'due')
        return
      }
      save(job)
      wait(job, ms)
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
      for (const job of jobs.values()) if (job.state === 'waiting') move(job, 'due')
    },
    hold: (id) => {
      const job = jobs.get(id)
      if (job === undefined) return false
      const held = { heldFor: job.recordId, reason: 'cancelled by an operator' }
      if (!move(job, 'hold', held)) return job.state === 'held'
      job.stop.abort(new DOMException('job was cancelled', 'AbortError'))
      save(job)
      return true
    },
    retry: (id) => {
      const job = jobs.get(id)
      if (job === undefined || !move(job, 'release', { heldFor: undefined })) return false
      save(job)
      return true
    },
    list: () => [...[...jobs.values()].map(viewOf), ...ended],
    get: (id) => {
      const job = jobs.get(id)
      return job === undefined ? ended.findLast((view) => view.id === id) : viewOf(job)
    },
    oldestMs: () => {
      let oldest: number | undefined
      for (const { createdAtMs } of jobs.values()) {
        oldest = Math.min(oldest ?? createdAtMs, createdAtMs)
      }
      return oldest
    },
    openCount: () => [...jobs.values()].filter(({ state }) => state !== 'held').length,
    [Symbol.asyncDispose]: async () => stop.abort(),
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
