/**
 * Jobs that fetch losers of a tag. Their reference is the loser's tag, about which no record speaks: here stands which tag
 * asked for them, so that it is looked at again when one of them ends, and they end with the conflict.
 */
import type { Fetch } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { LoserTag } from '../record/losers.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'

export interface LoserJobs {
  /** Exactly these losers of the key are to be fetched, in this way. */
  ask(key: RecordKey, missing: readonly LoserTag[], fetch?: Fetch): void
  /** The key that asked for the loser with this tag. */
  askedBy(key: RecordKey): RecordKey | undefined
}

export function createLoserJobs(queue: Pick<JobQueue, 'add' | 'forget'>): LoserJobs {
  /** By the key that asks. Bounded by the losers that are known and not here. */
  const asked = new Map<string, readonly LoserTag[]>()
  const askers = new Map<string, RecordKey>()

  return {
    ask: (key, missing, fetch = {}) => {
      const { repository } = key
      for (const { tag } of asked.get(keyText(key)) ?? []) {
        if (missing.some((one) => one.tag === tag)) continue
        askers.delete(keyText({ repository, reference: tag }))
        queue.forget({ repository, reference: tag })
      }
      if (missing.length === 0) asked.delete(keyText(key))
      else asked.set(keyText(key), missing)
      for (const { tag, digest, recordId } of missing) {
        askers.set(keyText({ repository, reference: tag }), key)
        queue.add({
          kind: 'pull',
          key: { repository, reference: tag },
          digest,
          recordId,
          ...fetch,
        })
      }
    },
    askedBy: (key) => askers.get(keyText(key)),
  }
}
