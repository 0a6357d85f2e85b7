/** The planner decides what one key asks of this node. It reads facts through ports and changes nothing. */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { LoserTag } from '../record/losers.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Entry } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Filter, Naming } from '../topology/flow.ts'
import type { LoserTags } from './loser-tags.ts'

/** What must be fetched, and for which reference. */
export interface PullPlan {
  readonly kind: 'pull'
  readonly key: RecordKey
  readonly digest: Digest
  /** Of the newest record: a person's hold ends with another one. */
  readonly recordId: string
}

/** Why there is nothing to do. */
export type RefusalReason =
  | 'unknown'
  | 'already-here'
  | 'not-wanted'
  | 'deleted-at-origin'
  | 'absent'
  /** It was in the directory before the node: no record says anything of it. */
  | 'adopted'

type OwnPlan =
  | PullPlan
  /** Everything is here already, only not shown. */
  | { readonly kind: 'show'; readonly key: RecordKey }
  /** A delete that this node applies. */
  | { readonly kind: 'drop'; readonly key: RecordKey }
  | { readonly kind: 'refusal'; readonly key: RecordKey; readonly reason: RefusalReason }

export type Plan = OwnPlan & {
  /** What lost the tag in concurrent pushes and must be here too. */
  readonly losers?: readonly LoserTag[]
}

/** What is here. */
export interface Inventory {
  entry(key: RecordKey): Entry | undefined
  isComplete(repository: RepositoryName, digest: Digest): boolean
}

export interface PlannerDeps {
  readonly inventory: Inventory
  /** What the topology wants this node to hold. */
  readonly wanted: Filter
  readonly naming: Naming
  readonly loserTags: Pick<LoserTags, 'of'>
  /** Whether this node may write the repository: only then it applies deletes at once. */
  readonly isWriter: (repository: RepositoryName) => boolean
}

export interface Planner {
  plan(key: RecordKey): Promise<Plan>
}

/** Whether what the newest record names is here whole: nearly every key, nearly always. */
export function isSettled({ history, held }: Pick<Entry, 'history' | 'held'>): boolean {
  return held?.coverage === 'all' && visibleOf(history)?.record.digest === held.digest
}

export function createPlanner(deps: PlannerDeps): Planner {
  const { inventory, wanted, naming, loserTags, isWriter } = deps

  async function planOf(key: RecordKey, entry: Entry | undefined): Promise<OwnPlan> {
    const refuse = (reason: RefusalReason): OwnPlan => ({ kind: 'refusal', key, reason })
    const { repository, reference } = key
    if (entry === undefined) return refuse('unknown')
    if (entry.history.length === 0) return refuse(entry.held === undefined ? 'absent' : 'adopted')
    const visible = visibleOf(entry.history)
    if (visible === undefined) {
      const isHere =
        entry.held !== undefined ||
        (isDigest(reference) && inventory.isComplete(repository, reference))
      if (!isHere) return refuse('absent')
      return isWriter(repository) ? { kind: 'drop', key } : refuse('deleted-at-origin')
    }
    if (isSettled(entry)) return refuse('already-here')
    const { digest } = visible.record
    if (!(await wanted.passes(itemOf(key, visible.record), naming))) return refuse('not-wanted')
    if (inventory.isComplete(repository, digest)) return { kind: 'show', key }
    return { kind: 'pull', key, digest, recordId: visible.id }
  }

  return {
    plan: async (key) => {
      const entry = inventory.entry(key)
      const plan = await planOf(key, entry)
      const losers = entry === undefined ? [] : loserTags.of(key.repository, entry.history)
      if (losers.length === 0) return plan
      // They go where the tag goes.
      const item = itemOf(key, visibleOf(entry?.history ?? [])?.record)
      return (await wanted.passes(item, naming)) ? { ...plan, losers } : plan
    },
  }
}
