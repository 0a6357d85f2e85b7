/** Pages of jobs by id. Of a hundred thousand jobs only those are viewed and sorted that may be on the page. */
import type { JobView } from '../events/mesh-event.ts'
import type { EndedJob } from './job-history.ts'

export interface PageAsk {
  /** Only ids greater than this one. */
  readonly after: string
  readonly fits: (job: JobView) => boolean
  readonly limit: number
}

/** Open jobs and ended ones. One that ended and was made anew is there once, as it is now. */
export function pageOf<Open extends { readonly id: string }>(
  open: ReadonlyMap<string, Open>,
  view: (job: Open) => JobView,
  ended: Iterable<EndedJob>,
  { after, fits, limit }: PageAsk,
): readonly JobView[] {
  let found: JobView[] = []
  /** No later id can be on the page. */
  let end: string | undefined
  const mayStand = (id: string) => id > after && (end === undefined || id <= end)

  function add(job: JobView): void {
    if (!fits(job)) return
    found.push(job)
    if (found.length < 2 * limit) return
    found = firstOf(found, limit)
    end = found.at(-1)?.id
  }

  for (const job of open.values()) if (mayStand(job.id)) add(view(job))
  const seen = new Set<string>()
  for (const { job } of ended) {
    if (seen.has(job.id)) continue
    seen.add(job.id)
    if (mayStand(job.id) && !open.has(job.id)) add(job)
  }
  return firstOf(found, limit)
}

function firstOf(jobs: readonly JobView[], limit: number): JobView[] {
  return jobs.toSorted((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit)
}
