/** A job while it lives: one per repository and digest, however many references ask for it. */
import type { JobPhase, JobState, JobView } from '../events/mesh-event.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'

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
  reason?: string | undefined
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
    ...(job.nextTryAtMs === undefined ? {} : { nextTryAtMs: job.nextTryAtMs }),
  }
}
