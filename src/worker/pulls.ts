/** The word of a person or a client that an image shall come now: noted, so that it outlives a restart, and turned into a job. */
import type { Digest } from '../oci/digest.ts'
import type { Planner, RefusalReason } from '../planner/planner.ts'
import { jobId } from '../queue/job.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Asked } from '../storage/asked.ts'
import type { Platforms } from '../topology/topology.ts'
import type { Dispatcher } from './dispatcher.ts'

export interface Pulls {
  /** `platforms`: of an index, so much of what may come. Resolves when the word is durable: the job may take its time. */
  ask(key: RecordKey, platforms?: Platforms): Promise<PullAnswer>
}

export type PullAnswer =
  | { readonly kind: 'asked'; readonly digest: Digest; readonly job: string }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }

export interface PullsDeps {
  readonly planner: Planner
  readonly asked: Pick<Asked, 'ask'>
  readonly queue: Pick<JobQueue, 'add' | 'retry'>
  readonly dispatcher: Pick<Dispatcher, 'consider'>
}

export function createPulls({ planner, asked, queue, dispatcher }: PullsDeps): Pulls {
  return {
    ask: async (key, platforms = 'all') => {
      const plan = await planner.plan(key, { asked: platforms })
      if (plan.kind === 'refusal') return { kind: 'refused', reason: plan.reason }
      // What was deleted does not come back by a word.
      if (plan.kind === 'drop' || plan.kind === 'drop-later')
        return { kind: 'refused', reason: 'deleted-at-origin' }
      const { digest } = plan
      await asked.ask(key, digest, platforms)
      if (plan.kind === 'pull') queue.add(plan)
      // Also after a look at the key that began before the word was noted, and knew nothing of it.
      dispatcher.consider(key)
      const job = jobId(key.repository, digest)
      // One that waits, or that somebody cancelled.
      queue.retry(job)
      return { kind: 'asked', digest, job }
    },
  }
}
