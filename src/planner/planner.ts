/** The planner decides what one key asks of this node. It reads facts through ports and changes nothing. */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { LoserTag } from '../record/losers.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Entry } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demand, Demands } from '../topology/demand.ts'
import type { Naming } from '../topology/flow.ts'
import {
  commonPlatforms,
  coversPlatforms,
  hasPlatform,
  unitePlatforms,
} from '../topology/platforms.ts'
import type { Schedule } from '../topology/schedule.ts'
import type { Platforms } from '../topology/topology.ts'
import type { DeleteRules } from './delete-rule.ts'
import type { LoserTags } from './loser-tags.ts'

/** What must be fetched, and for which reference. */
export interface PullPlan {
  readonly kind: 'pull'
  readonly key: RecordKey
  readonly digest: Digest
  /** Of the newest record: a person's hold ends with another one. */
  readonly recordId: string
  /** Higher goes first; 0 where it is absent. */
  readonly priority?: number
  /** Of an index: what must come; all where it is absent. */
  readonly platforms?: Platforms
  /** When its bytes may be fetched: in any of these; absent: at once. */
  readonly windows?: readonly Schedule[]
  /** Names of the policies that ask for it; none where the node may write it. */
  readonly policies?: readonly string[]
}

/** Why there is nothing to do. */
export type RefusalReason =
  | 'unknown'
  | 'already-here'
  | 'not-wanted'
  /** A part of an index, for platforms that this node does not hold. */
  | 'other-platform'
  /** It comes when a client asks for it. */
  | 'on-request'
  /** It comes at a person's word. */
  | 'on-word'
  | 'deleted-at-origin'
  | 'absent'
  /** It was in the directory before the node: no record says anything of it. */
  | 'adopted'

type OwnPlan =
  | PullPlan
  /** Everything is here already, only not shown. */
  | {
      readonly kind: 'show'
      readonly key: RecordKey
      readonly digest: Digest
      readonly platforms: Platforms
    }
  /** A delete that this node applies. */
  | { readonly kind: 'drop'; readonly key: RecordKey }
  /** A delete that this node applies in time, milliseconds since the Unix epoch, unless the repository's safeguards keep it. */
  | { readonly kind: 'drop-later'; readonly key: RecordKey; readonly dueAtMs: number }
  | { readonly kind: 'refusal'; readonly key: RecordKey; readonly reason: RefusalReason }

export type Plan = OwnPlan & {
  /** What lost the tag in concurrent pushes and must be here too. */
  readonly losers?: readonly LoserTag[]
  /** How those are fetched. */
  readonly loserFetch?: Fetch
}

/** What of it, when, and before what else. */
export type Fetch = Pick<PullPlan, 'priority' | 'platforms' | 'windows' | 'policies'>

/** What is here. */
export interface Inventory {
  entry(key: RecordKey): Entry | undefined
  isComplete(repository: RepositoryName, digest: Digest, platforms: Platforms): boolean
  /** Of the manifest, as the indexes here say that have it as a child: undefined where one says none. */
  platformsOf(repository: RepositoryName, digest: Digest): readonly (string | undefined)[]
  /** What of it a person or a client asked for; undefined: nobody did. */
  askedOf(key: RecordKey, digest: Digest): Platforms | undefined
}

export interface PlannerDeps {
  readonly inventory: Inventory
  /** What the topology wants this node to hold, and how. */
  readonly demands: Demands
  readonly naming: Naming
  readonly loserTags: Pick<LoserTags, 'of'>
  /** Whether this node may write the repository: only then it applies deletes at once. */
  readonly isWriter: (repository: RepositoryName) => boolean
  /** How it applies those of others. */
  readonly deletes: Pick<DeleteRules, 'of'>
}

export interface Planner {
  /** `asked`: as if so much of it were asked for. */
  plan(key: RecordKey, options?: { readonly asked?: Platforms }): Promise<Plan>
}

/**
 * Whether what the newest record names is here whole, for all platforms: nearly every key, nearly always. Of what is here for some
 * platforms the planner knows whether they are enough.
 */
export function isSettled({ history, held }: Pick<Entry, 'history' | 'held'>): boolean {
  return held?.coverage === 'all' && visibleOf(history)?.record.digest === held.digest
}

export function createPlanner(deps: PlannerDeps): Planner {
  const { inventory, demands, naming, loserTags, isWriter, deletes } = deps

  async function planOf(
    key: RecordKey,
    entry: Entry | undefined,
    asksNow: Platforms | undefined,
  ): Promise<OwnPlan> {
    const refuse = (reason: RefusalReason): OwnPlan => ({ kind: 'refusal', key, reason })
    const { repository, reference } = key
    if (entry === undefined) return refuse('unknown')
    if (entry.history.length === 0) return refuse(entry.held === undefined ? 'absent' : 'adopted')
    const visible = visibleOf(entry.history)
    if (visible === undefined) {
      const isHere =
        entry.held !== undefined ||
        (isDigest(reference) && inventory.isComplete(repository, reference, 'all'))
      if (!isHere) return refuse('absent')
      if (isWriter(repository)) return { kind: 'drop', key }
      const deletion = await deletes.of(key, entry.history)
      if (deletion === undefined) return refuse('deleted-at-origin')
      return { kind: 'drop-later', key, dueAtMs: deletion.dueAtMs }
    }
    if (isSettled(entry)) return refuse('already-here')
    const { digest } = visible.record
    const demand = await demands.of(itemOf(key, visible.record), naming)
    if (demand === undefined) return refuse('not-wanted')
    const asked = unitePlatforms(asksNow, inventory.askedOf(key, digest))
    const platforms = platformsIn(demand, asked)
    const held = entry.held?.digest === digest ? entry.held : undefined
    if (platforms === undefined) {
      if (held !== undefined && held.coverage.length > 0) return refuse('already-here')
      return refuse(demand.onRequest === undefined ? 'on-word' : 'on-request')
    }
    if (isOther(key, platforms)) return refuse('other-platform')
    const isHere = inventory.isComplete(repository, digest, platforms)
    if (held !== undefined && isHere && coversPlatforms(held.coverage, platforms))
      return refuse('already-here')
    if (isHere) return { kind: 'show', key, digest, platforms }
    const fetch = fetchOf(demand, platforms, asked !== undefined)
    return { kind: 'pull', key, digest, recordId: visible.id, ...fetch }
  }

  /** A child that was pushed by digest comes with its index, if at all. */
  function isOther({ repository, reference }: RecordKey, platforms: Platforms): boolean {
    if (platforms === 'all' || !isDigest(reference)) return false
    const told = inventory.platformsOf(repository, reference)
    return told.length > 0 && !told.some((one) => hasPlatform(platforms, one))
  }

  return {
    plan: async (key, { asked } = {}) => {
      const entry = inventory.entry(key)
      const plan = await planOf(key, entry, asked)
      const losers = entry === undefined ? [] : loserTags.of(key.repository, entry.history)
      if (losers.length === 0) return plan
      // They go where the tag goes, and at the same times.
      const item = itemOf(key, visibleOf(entry?.history ?? [])?.record)
      const demand = await demands.of(item, naming)
      if (demand === undefined) return plan
      if (demand.held !== undefined)
        return { ...plan, losers, loserFetch: fetchOf(demand, demand.held, false) }
      // Nothing brings them; those that are here stay.
      return { ...plan, losers: losers.filter(({ digest }) => entry?.kept?.includes(digest)) }
    },
  }
}

/** What is to come now, if anything: who asks gets whatever could come at all. */
function platformsIn(
  { held, onRequest, onWord }: Demand,
  asked: Platforms | undefined,
): Platforms | undefined {
  const could = unitePlatforms(onRequest, onWord)
  if (asked === undefined || could === undefined) return held
  return unitePlatforms(held, commonPlatforms(could, asked))
}

function fetchOf(
  { windows, priority, policies }: Demand,
  platforms: Platforms,
  isAsked: boolean,
): Fetch {
  return {
    priority,
    platforms,
    // Who asks means now.
    ...(windows === undefined || isAsked ? {} : { windows }),
    policies: policies.map(({ name }) => name),
  }
}
