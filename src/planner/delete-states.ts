/**
 * Which deletes of a repository are applied now. Two safeguards look at the repository as a whole: its newest tags stay,
 * and when too many go within a day they wait for a person. What is about an image that stays, stays with it. Pure.
 */
import type { Digest } from '../oci/digest.ts'
import type { Reference, Tag } from '../oci/name.ts'
import type { Deletion } from './delete-rule.ts'

/**
 * `in-grace`: its time has not come. `kept-last`: it is of the repository's newest tags, which stay. `held-up`: too many go
 * at once, a person has to confirm. `with-image`: it is about an image that stays for one of these reasons. `due`: it goes now.
 */
export type DeleteState = 'in-grace' | 'kept-last' | 'held-up' | 'with-image' | 'due'

export interface ShownTag {
  readonly tag: Tag
  /** Time of the push that it shows, milliseconds since the Unix epoch; 0 where nobody signed for it. */
  readonly pushedAtMs: number
  /** What it shows. */
  readonly digest: Digest
  /** Of a tag that was deleted, where a policy has this node apply deletes. */
  readonly deletion?: Deletion & { readonly isConfirmed: boolean }
}

/** The delete of what is no tag of the repository: it was pushed by digest, or is about another image (a signature). */
export interface OtherDelete {
  readonly reference: Reference
  readonly dueAtMs: number
  /** What it shows. */
  readonly digest: Digest
  readonly subject?: Digest
}

export interface ShownRepository {
  /** All tags that the node shows, but for those that are about another image. */
  readonly tags: readonly ShownTag[]
  readonly others: readonly OtherDelete[]
  /** When the tags were due that the guard let go before, milliseconds since the Unix epoch. */
  readonly takenAtMs: readonly number[]
  /** Deletes wait for a person already: others wait with them. */
  readonly isHeldUp: boolean
  readonly nowMs: number
}

/** A guard counts the deletes of any time span of this length, milliseconds. */
export const GUARD_MS = 86_400_000
/** So many go whatever the share: one delete never waits, however few tags there are. */
const ALWAYS = 1
/** A signature of a signature of an image: longer chains are not followed. */
const MAX_DEPTH = 4

export function deleteStates(repository: ShownRepository): ReadonlyMap<Reference, DeleteState> {
  const { others, nowMs } = repository
  const states = new Map<Reference, DeleteState>(tagStates(repository))
  const stay = new Set(
    repository.tags.flatMap(({ tag, digest }) => (isKept(states.get(tag)) ? [digest] : [])),
  )
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    for (const { subject, digest } of others)
      if (subject !== undefined && stay.has(subject)) stay.add(digest)
  }
  for (const { reference, dueAtMs, subject } of others) {
    const isWithImage = subject !== undefined && stay.has(subject)
    const state = isWithImage ? 'with-image' : 'due'
    states.set(reference, dueAtMs > nowMs ? 'in-grace' : state)
  }
  return states
}

function isKept(state: DeleteState | undefined): boolean {
  return state === 'kept-last' || state === 'held-up'
}

function tagStates({
  tags,
  takenAtMs,
  isHeldUp,
  nowMs,
}: ShownRepository): ReadonlyMap<Tag, DeleteState> {
  const newestFirst = [...tags].sort(
    (a, b) => b.pushedAtMs - a.pushedAtMs || (a.tag < b.tag ? 1 : -1),
  )
  const [kept, leaving] = [new Set<Tag>(), new Map<Tag, NonNullable<ShownTag['deletion']>>()]
  for (const [at, { tag, deletion }] of newestFirst.entries()) {
    if (deletion === undefined) continue
    if (at < deletion.keepLast) kept.add(tag)
    else leaving.set(tag, deletion)
  }
  const guarded = [...leaving.values()].filter((one) => one.guard !== undefined && !one.isConfirmed)
  const times = [...takenAtMs, ...guarded.map(({ dueAtMs }) => dueAtMs)].sort((a, b) => a - b)
  const total = tags.length + takenAtMs.length
  /** By share: there are as many as policies say. */
  const crowded = new Map<number, ReadonlySet<number>>()
  const isCrowded = (guard: number, dueAtMs: number) => {
    const found = crowded.get(guard) ?? crowdedTimes(times, Math.max(ALWAYS, guard * total))
    crowded.set(guard, found)
    return found.has(dueAtMs)
  }
  const stateOf = (tag: Tag, deletion: NonNullable<ShownTag['deletion']>): DeleteState => {
    const { dueAtMs, guard, isConfirmed } = deletion
    if (dueAtMs > nowMs) return 'in-grace'
    if (kept.has(tag)) return 'kept-last'
    if (guard === undefined || isConfirmed) return 'due'
    return isHeldUp || isCrowded(guard, dueAtMs) ? 'held-up' : 'due'
  }
  return new Map(
    tags.flatMap(({ tag, deletion }) =>
      deletion === undefined ? [] : [[tag, stateOf(tag, deletion)] as const],
    ),
  )
}

/** Of sorted times those that lie in some span of a day that has more than `limit` of them. */
function crowdedTimes(times: readonly number[], limit: number): ReadonlySet<number> {
  const crowded = new Set<number>()
  let [end, marked] = [0, 0]
  for (const [start, first] of times.entries()) {
    while ((times[end] ?? Number.POSITIVE_INFINITY) <= first + GUARD_MS) end += 1
    if (end - start <= limit) continue
    for (const time of times.slice(Math.max(start, marked), end)) crowded.add(time)
    marked = end
  }
  return crowded
}
