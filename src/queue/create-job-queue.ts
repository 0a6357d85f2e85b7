/**
 * The queue: which jobs there are. They are derived from what is wanted and not held, so nothing here is lost in a crash;
 * duplicates join, newer news supersedes, and what fails waits and is tried again for ever.
 */
import type { JobView } from '../events/mesh-event.ts'
import type { PullPlan } from '../planner/planner.ts'
import { keyText } from '../record/tag-record.ts'
import { type Job, jobId, jobOf, viewOf } from './job.ts'
import { haveSameWindows, uniteAsks } from './job-asks.ts'
import { delayAfter, MAX_DELAY_MS, NEWS_AHEAD_MS } from './job-delay.ts'
import { createJobHolds } from './job-holds.ts'
import { lineOf } from './job-line.ts'
import { isEnd, type Move, next } from './job-machine.ts'
import { createJobNotes } from './job-notes.ts'
import { pageOf } from './job-page.ts'
import type { JobQueue, JobQueueDeps } from './job-queue.ts'
import { createJobRows } from './job-rows.ts'
import { countStates, oldestMs } from './job-tally.ts'
import { createJobTurns } from './job-turns.ts'
import { createJobWaits } from './job-waits.ts'
import { NO_PAUSES, pauseText } from './pauses.ts'

export function createJobQueue(deps: JobQueueDeps): JobQueue {
  const { store, history, events, clock, random, logger, hasHolder = () => true } = deps
  const { pauses = NO_PAUSES, activityOf = () => undefined } = deps
  /** In order of arrival. */
  const jobs = new Map<string, Job>()
  const byKey = new Map<string, string>()
  const notes = createJobNotes({ clock })
  const rows = createJobRows({ store, logger })
  const onDue = (job: Job) => void move(job, 'due')
  const turns = createJobTurns({ pauses }, { onDue })
  const waits = createJobWaits({ clock }, { onDue })
  /** Wait because this node could not keep what came. */
  const atFault = new Set<Job>()

  function view(job: Job): JobView {
    const activity = job.state === 'running' ? activityOf(job.id) : undefined
    return viewOf(job, { pause: pauses.ofJob(job.policies), activity })
  }

  function tell(job: Job): void {
    events.emit({ kind: 'job-changed', job: view(job) })
  }

  function move(job: Job, name: Move, change: Partial<Job> = {}): boolean {
    const state = next(job.state, name)
    if (state === undefined) return false
    const fresh = { phase: undefined, reason: undefined, cause: undefined, nextTryAtMs: undefined }
    Object.assign(job, fresh, change)
    job.state = state
    job.changedAtMs = clock.now()
    turns.leave(job)
    waits.end(job)
    atFault.delete(job)
    notes.line(job.id, lineOf(job, name))
    if (isEnd(state)) end(job)
    tell(job)
    if (state === 'queued') turns.enqueue(job)
    else turns.refill()
    return true
  }

  function end(job: Job): void {
    jobs.delete(job.id)
    for (const reference of job.references) {
      const key = keyText({ repository: job.repository, reference })
      if (byKey.get(key) === job.id) byKey.delete(key)
    }
    history.add(view(job), notes.close(job.id))
    rows.remove(job.id)
  }

  function supersede(job: Job, isNews = true): void {
    const newer = { reason: 'newer news', cause: 'newer-news' } as const
    const unwanted = { reason: 'nothing asks for it any more', cause: 'not-wanted' } as const
    move(job, 'supersede', isNews ? newer : unwanted)
  }

  function detach(text: string, reference: Job['digest'] | string, isNews: boolean): void {
    const job = jobs.get(byKey.get(text) ?? '')
    byKey.delete(text)
    if (job === undefined) return
    job.references.delete(reference as never)
    job.asks.delete(reference as never)
    reckon(job)
    // A running one finishes: its bytes are worth having, and it may be the newest again.
    if (job.references.size === 0 && job.state !== 'running') supersede(job, isNews)
  }

  /** What is asked for may be more now, or less. */
  function reckon(job: Job): void {
    if (job.asks.size === 0) return
    const asked = uniteAsks(job.asks.values())
    const isOnTime = haveSameWindows(job, asked)
    Object.assign(job, asked)
    turns.reconsider(job)
    // Whoever carries it out looks at the windows.
    if (!isOnTime && job.cause === 'window') move(job, 'due')
  }

  function create(plan: PullPlan): Job {
    const now = clock.now()
    const isKnown = hasHolder(plan.key.repository, plan.digest, plan.platforms)
    const readyAtMs = isKnown ? now : now + NEWS_AHEAD_MS
    const row = rows.load(jobId(plan.key.repository, plan.digest))
    return jobOf(plan, row, { now, readyAtMs })
  }

  /** A job that was made anew begins where its state says. */
  function begin(job: Job): void {
    jobs.set(job.id, job)
    notes.open(job.id)
    notes.line(job.id, `${job.state}: asked for by ${[...job.references].join(', ')}`)
    // The wall clock may have gone back since the row was written: nothing waits longer than the longest wait.
    const untilMs = Math.min(job.nextTryAtMs ?? 0, clock.now() + MAX_DELAY_MS)
    if (job.state === 'waiting') waits.begin(job, untilMs)
    tell(job)
    if (job.state === 'queued') turns.enqueue(job)
  }

  /** Not a wait for a time that stands in the topology. */
  function maySkipWait(job: Job): boolean {
    return job.state === 'waiting' && job.cause !== 'window'
  }

  const holds = createJobHolds({ find: (id) => jobs.get(id), move, supersede, rows })
  // Of an earlier queue, in the same process.
  events.emit({ kind: 'jobs-reset' })
  const unsubscribe = events.on('pauses-changed', () => {
    for (const job of jobs.values()) {
      const pause = job.state === 'running' ? pauses.ofJob(job.policies) : undefined
      if (pause === undefined) continue
      if (job.references.size === 0) supersede(job)
      else move(job, 'pause', { reason: pauseText(pause) })
      job.stop.abort(new DOMException('job was paused', 'AbortError'))
    }
    turns.goOn()
  })

  return {
    add: (plan) => {
      const text = keyText(plan.key)
      const id = jobId(plan.key.repository, plan.digest)
      if (byKey.get(text) !== id) detach(text, plan.key.reference, true)
      byKey.set(text, id)
      const known = jobs.get(id)
      const job = known ?? create(plan)
      job.references.add(plan.key.reference)
      job.asks.set(plan.key.reference, plan)
      reckon(job)
      if (known === undefined) return begin(job)
      job.recordId = plan.recordId
      if (job.state === 'held' && job.heldFor !== plan.recordId)
        move(job, 'release', { heldFor: undefined, isPaused: false })
    },
    forget: ({ repository, reference }) =>
      detach(keyText({ repository, reference }), reference, false),
    take: ({ signal }) =>
      turns.take(
        (job) => {
          job.stop = new AbortController()
          job.isWoken = false
          return move(job, 'start', { attempts: job.attempts + 1, bytesDone: 0 })
        },
        { signal },
      ),
    finish: (job) => {
      if (!move(job, 'finish')) return
      for (const other of atFault) turns.wake(other)
      turns.refill()
    },
    defer: (job, { kind, reason, untilMs = Number.POSITIVE_INFINITY }) => {
      if (job.references.size === 0) return supersede(job)
      if (kind === 'window') {
        // Before it began: it has not been tried. Nothing is to be remembered, the next start looks at the window again.
        const attempts = job.phase === undefined ? job.attempts - 1 : job.attempts
        const change = { reason, cause: kind, nextTryAtMs: untilMs, attempts }
        if (move(job, 'defer', change)) waits.begin(job, untilMs)
        return
      }
      // Links that are closed say when they open: tries before that are in vain.
      const isKnown = Number.isFinite(untilMs)
      const nextTryAtMs = isKnown ? untilMs : clock.now() + delayAfter(job, kind, random)
      const { isWoken } = job
      if (!move(job, 'defer', { reason, cause: kind, nextTryAtMs })) return
      if (isWoken) {
        move(job, 'due')
        return
      }
      if (kind === 'local-fault') atFault.add(job)
      rows.save(job)
      waits.begin(job, nextTryAtMs)
    },
    vanish: (job, reason) => void move(job, 'vanish', { reason, cause: 'no-holder' }),
    note: (job, change) => {
      if (job.state !== 'running') return
      Object.assign(job, change)
      job.changedAtMs = clock.now()
      if (change.phase !== undefined) notes.line(job.id, `phase ${change.phase}`)
      tell(job)
    },
    wake: (repository, digest) => {
      const job = jobs.get(jobId(repository, digest))
      if (job === undefined) return
      if (maySkipWait(job)) move(job, 'due')
      // It may be asking the one that held nothing a moment ago.
      if (job.state === 'running') job.isWoken = true
    },
    wakeAll: () => {
      for (const job of jobs.values()) {
        if (maySkipWait(job)) turns.wake(job)
        if (job.state === 'running') job.isWoken = true
      }
      turns.refill()
    },
    hold: holds.hold,
    retry: holds.retry,
    resume: holds.resume,
    list: () => [...jobs.values()].map(view),
    page: (ask) => pageOf(jobs, view, history.newest(), ask),
    get: (id) => {
      const job = jobs.get(id)
      return job === undefined ? history.get(id) : view(job)
    },
    counts: () => countStates(jobs.values()),
    history,
    notes: {
      asked: notes.asked,
      of: (id) => (jobs.has(id) ? undefined : history.notesOf(id)) ?? notes.of(id),
    },
    isOpen: (id) => jobs.has(id),
    oldestMs: () => oldestMs(jobs.values()),
    openCount: () => [...jobs.values()].filter(({ state }) => state !== 'held').length,
    [Symbol.asyncDispose]: async () => {
      unsubscribe()
      await waits[Symbol.asyncDispose]()
    },
  }
}
