/** Deletes at a node that may not write the repository: whether it applies one, and when at the earliest. */
import { type History, newestOf } from '../record/history.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { msOfTime } from '../record/time.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demands } from '../topology/demand.ts'
import type { Naming } from '../topology/flow.ts'
import type { DeleteRule } from '../topology/topology.ts'

/** How the delete of one key is applied. */
export interface Deletion {
  /** Time of the delete and the grace after it: not before, milliseconds since the Unix epoch. */
  readonly dueAtMs: number
  /** So many of the repository's tags, the newest, it must leave. */
  readonly keepLast: number
  /** Share (0 to 1) of the repository's tags of which more wait for a person; undefined: never. */
  readonly guard?: number
}

export interface DeleteRules {
  /** Of a key that is deleted; undefined: no policy has this node apply it. */
  of(key: RecordKey, history: History): Promise<Deletion | undefined>
}

export function createDeleteRules({
  demands,
  naming,
}: {
  readonly demands: Demands
  readonly naming: Naming
}): DeleteRules {
  return {
    of: async (key, history) => {
      // Of a deleted key the newest record is the delete: it is later than all that it has seen.
      const newest = newestOf(history)
      if (newest?.kind !== 'delete') return undefined
      const demand = await demands.of(itemOf(key, newest), naming)
      const rule = unite((demand?.policies ?? []).map(({ deletes }) => deletes))
      if (rule === undefined) return undefined
      const { graceMs, keepLast, guard } = rule
      const dueAtMs = msOfTime(newest.time) + graceMs
      return { dueAtMs, keepLast, ...(guard === undefined ? {} : { guard }) }
    },
  }
}

/**
 * What rules for one item say together: it goes when the first of them lets it go, and what any of them keeps stays.
 * Undefined: none of them propagates.
 */
function unite(rules: readonly DeleteRule[]): DeleteRule | undefined {
  const propagating = rules.filter(({ propagate }) => propagate)
  if (propagating.length === 0) return undefined
  const guards = propagating.flatMap(({ guard }) => (guard === undefined ? [] : [guard]))
  return {
    propagate: true,
    graceMs: Math.min(...propagating.map(({ graceMs }) => graceMs)),
    keepLast: Math.max(...propagating.map(({ keepLast }) => keepLast)),
    ...(guards.length === 0 ? {} : { guard: Math.min(...guards) }),
  }
}
