/** What must outlive a restart of a job: attempts, errors, times, a person's hold. The job itself is derived anew. */
import type { IndexDb } from '../storage/index-db.ts'
import { JOB, type JobRow } from '../storage/index-tables.ts'

export interface JobStore {
  load(id: string): JobRow | undefined
  save(id: string, row: JobRow): Promise<void>
  remove(id: string): Promise<void>
  /** Rows by id, only those after one. */
  page(after: string, limit: number): Promise<readonly (readonly [id: string, row: JobRow])[]>
}

export function createJobStore({ index }: { readonly index: IndexDb }): JobStore {
  return {
    load: (id) => index.get(JOB, id),
    save: (id, row) => index.transact((tx) => tx.put(JOB, id, row)),
    remove: (id) => index.transact((tx) => tx.delete(JOB, id)),
    page: (after, limit) => index.page(JOB, { after, limit }),
  }
}
