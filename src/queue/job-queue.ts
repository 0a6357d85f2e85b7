/** The queue of jobs as others see it. */
import type { EventBus } from '../events/event-bus.ts'
import type { JobState, JobView, WaitCause } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { PullPlan } from '../planner/planner.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Platforms } from '../topology/topology.ts'
import type { Activity, Job } from './job.ts'
import type { JobHistory } from './job-history.ts'
import type { JobNotes } from './job-notes.ts'
import type { PageAsk } from './job-page.ts'
import type { JobStore } from './job-store.ts'
import type { Pauses } from './pauses.ts'

export interface JobQueue extends AsyncDisposable {
  /** Makes the plan's job, or joins it; older jobs of the same key lose it. */
  add(plan: PullPlan): void
  /** Nothing is wanted for the key any more. */
  forget(key: RecordKey): void
  /** Of the queued jobs of the highest priority the oldest, now running; waits for one. @throws the signal's reason */
  take(options: { readonly signal: AbortSignal }): Promise<Job>
  /** Done: what waits because this node could not keep something is tried again. */
  finish(job: Job): void
  /** Tried in vain: waits for a time, or for a holder. Before its window: waits for that, whoever else shows up. */
  defer(job: Job, why: Deferral): void
  vanish(job: Job, reason: string): void
  /** Progress of a running job. */
  note(job: Job, change: Partial<Pick<Job, 'phase' | 'bytesDone' | 'bytesTotal'>>): void
  /** A holder may have come: the job need not wait longer. */
  wake(repository: RepositoryName, digest: Digest): void
  /** A neighbour or the disk came back: every job goes on, so many at a time as the workers take. */
  wakeAll(): void
  /** A person's word: stays until a retry or newer news. @returns false when there is no such job to hold. */
  hold(id: string, how?: 'cancel' | 'pause'): boolean
  /** Ends a hold or a wait. */
  retry(id: string): boolean
  /** Ends a hold that was a pause. */
  resume(id: string): boolean
  /** Those that have not ended, in the order of their arrival. */
  list(): readonly JobView[]
  /** By id, the last that ended among them. */
  page(ask: PageAsk): readonly JobView[]
  get(id: string): JobView | undefined
  /** How many there are of each state that have not ended. */
  counts(): Readonly<Partial<Record<JobState, number>>>
  readonly history: Pick<JobHistory, 'newest'>
  readonly notes: Pick<JobNotes, 'of' | 'asked'>
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
  /**
   * Milliseconds since the Unix epoch. Of `window`: when it opens; Infinity where it never does. Otherwise: when it is worth a
   * try, where that is known.
   */
  readonly untilMs?: number
}

export interface JobQueueDeps {
  readonly store: Pick<JobStore, 'load' | 'save' | 'remove'>
  readonly history: Pick<JobHistory, 'add' | 'get' | 'notesOf' | 'newest'>
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Whether a neighbour is known to hold the manifest. Without an answer every job begins at once. */
  readonly hasHolder?: (
    repository: RepositoryName,
    digest: Digest,
    platforms: Platforms | undefined,
  ) => boolean
  readonly pauses?: Pick<Pauses, 'ofJob'>
  /** What comes in for a running job now. */
  readonly activityOf?: (id: string) => Activity | undefined
}
