/** A job while it lives: one per repository and digest, however many references ask for it. */
import type {
  EndCause,
  JobPhase,
  JobState,
  JobView,
  Pause,
  WaitCause,
} from '../events/mesh-event.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'
import type { PullPlan } from '../planner/planner.ts'
import type { JobRow } from '../storage/index-tables.ts'
import { type Ask, type Asked, uniteAsks } from './job-asks.ts'
import { isEnd } from './job-machine.ts'
import { pauseText } from './pauses.ts'

export interface Job extends Asked {
  readonly id: string
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly references: Set<Reference>
  /** What each of them asks for. */
  readonly asks: Map<Reference, Ask>
  readonly createdAtMs: number
  state: JobState
  phase?: JobPhase | undefined
  bytesDone: number
  bytesTotal?: number | undefined
  attempts: number
  /** Tries in a row that brought nothing: how long it waits. */
  vainTries: number
  /** Most bytes that were here at the end of a try. */
  mostBytes: number
  reason?: string | undefined
  /** What ended the last try, or the job. */
  cause?: WaitCause | EndCause | undefined
  nextTryAtMs?: number | undefined
  changedAtMs: number
  /** Record for which a person holds it. */
  heldFor?: string | undefined
  /** It is held until a person resumes it: nobody cancelled it. */
  isPaused: boolean
  /** Newest record that asked for it. */
  recordId: string
  /** A holder showed up while it ran: whatever it finds now, it is worth another try at once. */
  isWoken: boolean
  /** Of its run: aborted when a person holds the job. A superseded one finishes. */
  stop: AbortController
}

export function jobId(repository: RepositoryName, digest: Digest): string {
  return `${repository}@${digest}`
}

export function parseJobId(id: string): { repository: RepositoryName; digest: Digest } {
  const at = id.indexOf('@')
  return { repository: id.slice(0, at) as RepositoryName, digest: id.slice(at + 1) as Digest }
}

/**
 * A new job for the plan, or what an earlier run left of it. It waits where its next try lies ahead.
 * `readyAtMs`: when it may begin at the earliest, where nothing is left of an earlier run.
 */
export function jobOf(
  { key: { repository }, digest, recordId }: PullPlan,
  row: JobRow | undefined,
  { now, readyAtMs }: { readonly now: number; readonly readyAtMs: number },
): Job {
  const isHeld = row?.heldFor !== undefined && row.heldFor === recordId
  const nextTryAtMs = row?.nextTryAtMs ?? readyAtMs
  const mustWait = !isHeld && nextTryAtMs > now
  return {
    id: jobId(repository, digest),
    repository,
    digest,
    references: new Set(),
    asks: new Map(),
    ...uniteAsks([{}]),
    createdAtMs: row?.createdAtMs ?? now,
    state: isHeld ? 'held' : mustWait ? 'waiting' : 'queued',
    bytesDone: 0,
    attempts: row?.attempts ?? 0,
    vainTries: row?.attempts ?? 0,
    mostBytes: 0,
    reason: row?.reason ?? (mustWait ? 'nobody is known to hold it yet' : undefined),
    nextTryAtMs: mustWait ? nextTryAtMs : undefined,
    changedAtMs: now,
    heldFor: isHeld ? row?.heldFor : undefined,
    isPaused: isHeld && row?.isPaused === true,
    recordId,
    isWoken: false,
    stop: new AbortController(),
  }
}

/** What of a view stands elsewhere. */
export interface Surroundings {
  readonly pause: Pause | undefined
  readonly activity: Activity | undefined
}

/** What comes in for a job now. */
export interface Activity {
  /** Nodes that bytes come from. */
  readonly from: readonly string[]
  /** Over the last seconds. */
  readonly bytesPerSecond: number
}

export function viewOf(job: Job, { pause, activity }: Surroundings): JobView {
  const { id, repository, digest, state, bytesDone, attempts, createdAtMs, changedAtMs } = job
  const { phase, bytesTotal, cause, nextTryAtMs, priority, platforms, windows, policies } = job
  const pausedBy = pausedByOf(job, pause)
  const reason = state === 'queued' && pause !== undefined ? pauseText(pause) : job.reason
  return {
    id,
    repository,
    digest,
    references: [...job.references],
    state,
    bytesDone,
    attempts,
    createdAtMs,
    changedAtMs,
    priority,
    platforms,
    policies: policies ?? [],
    ...(phase === undefined ? {} : { phase }),
    ...(bytesTotal === undefined ? {} : { bytesTotal }),
    ...(reason === undefined ? {} : { reason }),
    ...(cause === undefined ? {} : { cause }),
    // A window that never opens has no time.
    ...(nextTryAtMs === undefined || !Number.isFinite(nextTryAtMs) ? {} : { nextTryAtMs }),
    ...(windows === undefined ? {} : { windows: windows.map(({ text }) => text) }),
    ...(pausedBy === undefined ? {} : { pausedBy }),
    ...activity,
  }
}

function pausedByOf({ state, isPaused }: Job, pause: Pause | undefined): string | undefined {
  if (state === 'held') return isPaused ? 'job' : undefined
  if (pause === undefined || isEnd(state)) return undefined
  return pause.scope === 'all' ? 'all' : `${pause.scope} ${pause.name}`
}
