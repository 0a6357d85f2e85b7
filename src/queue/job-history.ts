/** The jobs that ended last, for a person: what was wanted and is held stands in the index. In memory: a restart begins anew. */
import type { JobView } from '../events/mesh-event.ts'

export interface EndedJob {
  /** Of this run of the node, 1 for the first that ended. */
  readonly number: number
  readonly job: JobView
}

export interface JobHistory {
  add(job: JobView): void
  /** The last that ended with the id. */
  get(id: string): JobView | undefined
  /** In the order in which they ended. */
  list(): readonly JobView[]
  /** The newest first, of those with a smaller number that fit. */
  page(below: number, fits: (ended: EndedJob) => boolean, limit: number): readonly EndedJob[]
}

/** @param most jobs that are kept */
export function createJobHistory(most: number): JobHistory {
  const ended: EndedJob[] = []
  let number = 0

  return {
    add: (job) => {
      number += 1
      ended.push({ number, job })
      ended.splice(0, ended.length - most)
    },
    get: (id) => ended.findLast(({ job }) => job.id === id)?.job,
    list: () => ended.map(({ job }) => job),
    page: (below, fits, limit) => {
      const page: EndedJob[] = []
      for (let at = ended.length - 1; at >= 0 && page.length < limit; at -= 1) {
        const one = ended[at]
        if (one !== undefined && one.number < below && fits(one)) page.push(one)
      }
      return page
    },
  }
}
