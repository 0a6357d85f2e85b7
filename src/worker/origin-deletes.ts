/**
 * Deletes of other writers at this node, a repository at a time: what was deleted and is still shown, what becomes of each,
 * and those that are due applied. All of it is derived from the ledger; the index adds a person's word and what was applied.
 */
import { isDigest, type Reference, type RepositoryName, type Tag } from '../oci/name.ts'
import {
  type DeleteState,
  deleteStates,
  GUARD_MS,
  type ShownRepository,
} from '../planner/delete-states.ts'
import type { ContentKeeper } from '../storage/content.ts'
import type { DeleteRows } from '../storage/delete-rows.ts'
import {
  type FoundDelete,
  lookAtRepository,
  type RepositoryLook,
  type RepositoryLookDeps,
} from './repository-look.ts'

export interface OriginDelete {
  readonly reference: Reference
  /** Of the delete, milliseconds since the Unix epoch. */
  readonly deletedAtMs: number
  readonly dueAtMs: number
  readonly state: DeleteState
  /** Of one in its grace: why it would not go when that is over, as things are. */
  readonly afterGrace?: Exclude<DeleteState, 'in-grace' | 'due'>
}

export interface RepositoryDeletes {
  readonly repository: RepositoryName
  /** Tags that the node shows, the deleted ones included. */
  readonly tags: number
  /** Deletes that wait for a person. */
  readonly heldUp: number
  /** Since when, milliseconds since the Unix epoch. */
  readonly heldUpSinceMs?: number
  readonly deletes: readonly OriginDelete[]
}

export interface Applied {
  /** Tags that the node showed before. */
  readonly tags: number
  /** Deletes that wait for a person. */
  readonly heldUp: number
  readonly heldUpSinceMs?: number
  /** None did before. */
  readonly isNewlyHeldUp: boolean
  /** Deletes that were not applied. */
  readonly left: number
  /** When the next one is due, milliseconds since the Unix epoch; undefined: those that are left wait for something else. */
  readonly nextMs?: number
  /** Entries that were looked at: what it cost. */
  readonly entries: number
}

export interface OriginDeletes {
  /** Repositories whose deletes waited for a person when the node ended, or went by another topology. @throws INDEX_REOPENING */
  heldUp(): Promise<readonly RepositoryName[]>
  /** @throws INDEX_REOPENING */
  of(repository: RepositoryName): Promise<RepositoryDeletes>
  /** Applies what is due. @throws the signal's reason, INDEX_WRITE_FAILED, INDEX_REOPENING */
  apply(repository: RepositoryName, options: { readonly signal: AbortSignal }): Promise<Applied>
  /** A person lets all deletes of tags through that are known now. @returns how many @throws as `apply` */
  confirm(repository: RepositoryName): Promise<number>
}

export interface OriginDeletesDeps extends RepositoryLookDeps {
  readonly rows: DeleteRows
  readonly content: Pick<ContentKeeper, 'drop' | 'isComplete'>
  /** Mesh time, milliseconds since the Unix epoch. */
  readonly nowMs: () => number
}

/** Keys dropped side by side: they share a batch of the index. */
const DROPS_AT_ONCE = 64

export function createOriginDeletes(deps: OriginDeletesDeps): OriginDeletes {
  const { rows, content, nowMs } = deps
  /** Of each repository the last: a look and a person's word do not write over each other's notes. */
  const turns = new Map<RepositoryName, Promise<unknown>>()

  async function inTurn<T>(repository: RepositoryName, work: () => Promise<T>): Promise<T> {
    const before = turns.get(repository) ?? Promise.resolve()
    const turn = before.catch(() => {}).then(work)
    turns.set(repository, turn)
    try {
      return await turn
    } finally {
      if (turns.get(repository) === turn) turns.delete(repository)
    }
  }

  async function judge(repository: RepositoryName) {
    const look = await lookAtRepository(deps, repository)
    const now = nowMs()
    const states = deleteStates(shownAt(look, now))
    const judged = look.found.map((one) => ({
      ...one,
      state: states.get(one.key.reference) ?? 'due',
    }))
    const later = () => deleteStates(shownAt(look, Number.POSITIVE_INFINITY))
    return { look, now, judged, later }
  }

  async function dropAll(found: readonly FoundDelete[], signal: AbortSignal): Promise<void> {
    // Tags first: a manifest that one of them shows would stay for it.
    const isByDigest = ({ key }: FoundDelete) => Number(isDigest(key.reference))
    const inOrder = found.toSorted((a, b) => isByDigest(a) - isByDigest(b))
    for (let at = 0; at < inOrder.length; at += DROPS_AT_ONCE) {
      signal.throwIfAborted()
      const some = inOrder.slice(at, at + DROPS_AT_ONCE)
      await Promise.all(
        some.map(({ key, recordId }) => content.drop(key, { asReader: true, deletedBy: recordId })),
      )
    }
  }

  return {
    heldUp: rows.heldUp,
    of: async (repository) => {
      const { look, judged, later } = await judge(repository)
      const { heldUpSinceMs } = look.notes
      const after = judged.some(({ state }) => state === 'in-grace') ? later() : undefined
      return {
        repository,
        tags: look.tags.length,
        heldUp: judged.filter(({ state }) => state === 'held-up').length,
        ...(heldUpSinceMs === undefined ? {} : { heldUpSinceMs }),
        deletes: judged.map(({ key, deletedAtMs, deletion, state }) => {
          const { reference } = key
          const told = { reference, deletedAtMs, dueAtMs: deletion.dueAtMs, state }
          const afterGrace = state === 'in-grace' ? after?.get(reference) : undefined
          const goes = afterGrace === undefined || afterGrace === 'in-grace' || afterGrace === 'due'
          return goes ? told : { ...told, afterGrace }
        }),
      }
    },

    apply: (repository, options) => inTurn(repository, () => applyNow(repository, options)),

    confirm: (repository) =>
      inTurn(repository, async () => {
        const { found } = await lookAtRepository(deps, repository)
        const ofTags = found.filter(({ isOfTag }) => isOfTag)
        const ids = ofTags.map(({ key, recordId }) => [key.reference as Tag, recordId] as const)
        if (ids.length > 0) await rows.confirm(repository, new Map(ids))
        return ids.length
      }),
  }

  async function applyNow(
    repository: RepositoryName,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Applied> {
    const { look, now, judged } = await judge(repository)
    signal.throwIfAborted()
    const inState = (state: DeleteState) => judged.filter((one) => one.state === state)
    const [due, heldUp, waiting] = [inState('due'), inState('held-up'), inState('in-grace')]
    if (due.some(isCounted)) await rows.take(repository, dueTimesOf(due.filter(isCounted)))
    const heldUpSinceMs = look.notes.heldUpSinceMs ?? now
    const isNewlyHeldUp = heldUp.length > 0 && (await rows.holdUp(repository, heldUpSinceMs))
    await dropAll(due, signal)
    const left = judged.filter(({ state }) => state !== 'due')
    await forgetWhatIsOver(repository, look, { left, isHeldUp: heldUp.length > 0, now })
    const nextMs = earliestMs(waiting)
    return {
      tags: look.tags.length,
      heldUp: heldUp.length,
      ...(heldUp.length === 0 ? {} : { heldUpSinceMs }),
      isNewlyHeldUp,
      left: left.length,
      ...(waiting.length === 0 ? {} : { nextMs }),
      entries: look.entries,
    }
  }

  async function forgetWhatIsOver(
    repository: RepositoryName,
    { notes }: RepositoryLook,
    state: { left: readonly FoundDelete[]; isHeldUp: boolean; now: number },
  ): Promise<void> {
    const { left, now } = state
    const idsLeft = new Map(left.map(({ key, recordId }) => [key.reference as Tag, recordId]))
    // Those that wait are counted with what went within a day of them, however long they wait.
    const firstMs = Math.min(now, earliestMs(left.filter(isCounted)))
    const isHeldUp = notes.heldUpSinceMs !== undefined && !state.isHeldUp
    const confirmed = [...notes.confirmed].filter(([tag, id]) => idsLeft.get(tag) !== id)
    const taken = [...notes.taken].filter(([, dueAtMs]) => dueAtMs < firstMs - GUARD_MS)
    if (!isHeldUp && confirmed.length + taken.length === 0) return
    const tagsOf = (some: readonly (readonly [Tag, unknown])[]) => some.map(([tag]) => tag)
    await rows.forget(repository, { isHeldUp, confirmed: tagsOf(confirmed), taken: tagsOf(taken) })
  }
}

/** By a guard. */
function isCounted({ deletion, isConfirmed, isOfTag }: FoundDelete): boolean {
  return isOfTag && deletion.guard !== undefined && !isConfirmed
}

/** Infinity where there is none. */
function earliestMs(found: readonly FoundDelete[]): number {
  return found.reduce(
    (least, { deletion }) => Math.min(least, deletion.dueAtMs),
    Number.POSITIVE_INFINITY,
  )
}

function shownAt({ tags, found, notes }: RepositoryLook, nowMs: number): ShownRepository {
  const others = found
    .filter(({ isOfTag }) => !isOfTag)
    .map(({ key, deletion: { dueAtMs }, digest, subject }) => ({
      reference: key.reference,
      dueAtMs,
      digest,
      ...(subject === undefined ? {} : { subject }),
    }))
  const isHeldUp = notes.heldUpSinceMs !== undefined
  return { tags, others, takenAtMs: [...notes.taken.values()], isHeldUp, nowMs }
}

function dueTimesOf(found: readonly FoundDelete[]): ReadonlyMap<Tag, number> {
  return new Map(found.map(({ key, deletion }) => [key.reference as Tag, deletion.dueAtMs]))
}
