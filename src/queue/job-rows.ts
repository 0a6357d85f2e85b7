/** The rows of the jobs in memory: written when there is something to remember, gone with the job. */
import type { Logger } from '../lib/logger.ts'
import type { JobRow } from '../storage/index-tables.ts'
import type { Job } from './job.ts'
import type { JobStore } from './job-store.ts'

export interface JobRows {
  /** What an earlier run left of the job. */
  load(id: string): JobRow | undefined
  save(job: Job): void
  /** Nothing happens where there is none. */
  remove(id: string): void
}

export function createJobRows({
  store,
  logger,
}: {
  readonly store: Pick<JobStore, 'load' | 'save' | 'remove'>
  readonly logger: Logger
}): JobRows {
  /** Jobs that have a row, or one that is being written: as many as there are jobs at most. */
  const stored = new Set<string>()

  /** A row that could not be written costs an attempt count, not a job. */
  function persist(write: Promise<void>): void {
    write.catch((err: unknown) => logger.warn({ err }, 'job row not written'))
  }

  return {
    load: (id) => {
      const row = store.load(id)
      if (row !== undefined) stored.add(id)
      return row
    },
    save: (job) => {
      stored.add(job.id)
      const { attempts, createdAtMs, changedAtMs, nextTryAtMs, reason, heldFor, isPaused } = job
      const row = { references: [...job.references], attempts, createdAtMs, changedAtMs }
      persist(
        store.save(job.id, {
          ...row,
          ...(nextTryAtMs === undefined ? {} : { nextTryAtMs }),
          ...(reason === undefined ? {} : { reason }),
          ...(heldFor === undefined ? {} : { heldFor }),
          ...(isPaused ? { isPaused } : {}),
        }),
      )
    },
    remove: (id) => {
      if (stored.delete(id)) persist(store.remove(id))
    },
  }
}
