/** A job while it lives: one per repository and digest, however many references ask for it. */
import type { JobPhase, JobState, JobView, WaitCause } from '../events/mesh-event.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'
import type { PullPlan } from '../planner/planner.ts'
import type { JobRow } from '../storage/index-tables.ts'

export interface Job {
  readonly id: string
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly references: Set<Reference>
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
  /** What ended the last try. */
  cause?: WaitCause | undefined
  nextTryAtMs?: number | undefined
  changedAtMs: number
  /** Record for which a person holds it. */
  heldFor?: string | undefined
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
    recordId,
    isWoken: false,
    stop: new AbortController(),
  }
}

export function viewOf(job: Job): JobView {
  const { id, repository, digest, state, bytesDone, attempts, createdAtMs, changedAtMs } = job
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
    ...(job.phase === undefined ? {} : { phase: job.phase }),
    ...(job.bytesTotal === undefined ? {} : { bytesTotal: job.bytesTotal }),
    ...(job.reason === undefined ? {} : { reason: job.reason }),
    ...(job.cause === undefined ? {} : { cause: job.cause }),
    ...(job.nextTryAtMs === undefined ? {} : { nextTryAtMs: job.nextTryAtMs }),
  }
}
