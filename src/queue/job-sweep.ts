/** Removes rows that no job has any more: of tags that moved, and of what stopped to be wanted, while the node was down. */
import type { Planner } from '../planner/planner.ts'
import type { JobRow } from '../storage/index-tables.ts'
import { parseJobId } from './job.ts'
import type { JobQueue } from './job-queue.ts'
import type { JobStore } from './job-store.ts'

export interface JobSweepDeps {
  readonly store: Pick<JobStore, 'page' | 'remove'>
  readonly queue: Pick<JobQueue, 'isOpen'>
  readonly planner: Planner
}

/** Rows read at a time. */
const PAGE = 256

/** To be called when every key was looked at: what is wanted has its job by then. @returns how many rows went */
export async function sweepJobRows({ store, queue, planner }: JobSweepDeps): Promise<number> {
  let removed = 0
  for (let after = ''; ; ) {
    const rows = await store.page(after, PAGE)
    for (const [id, row] of rows) {
      if (queue.isOpen(id) || (await isAskedFor(planner, id, row))) continue
      // It may have come back while the planner was asked.
      if (queue.isOpen(id)) continue
      await store.remove(id)
      removed += 1
    }
    const last = rows.at(-1)
    if (last === undefined) return removed
    after = last[0]
  }
}

/** A key that could not be looked at has no job, and its row may hold a person's word. */
async function isAskedFor(planner: Planner, id: string, { references }: JobRow): Promise<boolean> {
  const { repository, digest } = parseJobId(id)
  for (const reference of references) {
    const plan = await planner.plan({ repository, reference })
    if (plan.kind === 'pull' && plan.digest === digest) return true
  }
  return false
}
