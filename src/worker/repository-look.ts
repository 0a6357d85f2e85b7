/** A look at one repository: the tags that this node shows, and what of all that it shows was deleted by others. */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName, type Tag } from '../oci/name.ts'
import type { DeleteRules, Deletion } from '../planner/delete-rule.ts'
import type { ShownTag } from '../planner/delete-states.ts'
import { newestOf, visibleOf } from '../record/history.ts'
import { type RecordKey, subjectOf } from '../record/tag-record.ts'
import { msOfTime, type Time } from '../record/time.ts'
import type { ContentKeeper } from '../storage/content.ts'
import type { DeleteNotes, DeleteRows } from '../storage/delete-rows.ts'
import type { Entry, Ledger } from '../storage/ledger.ts'

/** A delete that a policy has this node apply. */
export interface FoundDelete {
  readonly key: RecordKey
  readonly recordId: string
  /** Milliseconds since the Unix epoch. */
  readonly deletedAtMs: number
  readonly deletion: Deletion
  readonly isConfirmed: boolean
  /** Of a tag of the repository: not by digest, and not about another image. Only these are counted. */
  readonly isOfTag: boolean
  /** What is shown. */
  readonly digest: Digest
  /** What that is about. */
  readonly subject?: Digest
}

export interface RepositoryLook {
  /** What it cost. */
  readonly entries: number
  readonly tags: readonly ShownTag[]
  readonly found: readonly FoundDelete[]
  readonly notes: DeleteNotes
}

export interface RepositoryLookDeps {
  readonly ledger: Pick<Ledger, 'entriesOf'>
  readonly rules: DeleteRules
  readonly rows: Pick<DeleteRows, 'of'>
  readonly content: Pick<ContentKeeper, 'isComplete'>
}

/** Entries read at a time, some 100 µs each: between two pages others have their turn. */
const PAGE = 64

/** @throws INDEX_REOPENING */
export async function lookAtRepository(
  { ledger, rules, rows, content }: RepositoryLookDeps,
  repository: RepositoryName,
): Promise<RepositoryLook> {
  const notes = await rows.of(repository)
  const [tags, found]: [ShownTag[], FoundDelete[]] = [[], []]
  let entries = 0
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: readonly Entry[] = await ledger.entriesOf(repository, { after, limit: PAGE })
    for (const entry of page) {
      const one = await findIn(entry, notes)
      if (one !== undefined) found.push(one)
      const shown = shownIn(entry, one)
      if (shown !== undefined) tags.push(shown)
    }
    entries += page.length
    after = page.length < PAGE ? undefined : page.at(-1)?.key.reference
  }
  return { entries, tags, found, notes }

  async function findIn(entry: Entry, { confirmed }: DeleteNotes) {
    const { key, history, held } = entry
    const [newest] = history
    if (newest === undefined || visibleOf(history) !== undefined) return undefined
    const { reference } = key
    const isWhole = isDigest(reference) && content.isComplete(repository, reference)
    const digest = held?.digest ?? (isWhole ? reference : undefined)
    const deletion = digest === undefined ? undefined : await rules.of(key, history)
    if (digest === undefined || deletion === undefined) return undefined
    const isConfirmed = confirmed.get(reference as Tag) === newest.id
    const deletedAtMs = msOfTime(newest.record.time)
    const isOfTag = tagOf(entry) !== undefined
    const subject = subjectOf(newest.record)
    const about = subject === undefined ? {} : { subject }
    return {
      ...about,
      key,
      recordId: newest.id,
      deletedAtMs,
      deletion,
      isConfirmed,
      isOfTag,
      digest,
    }
  }
}

function shownIn(entry: Entry, found: FoundDelete | undefined): ShownTag | undefined {
  const tag = tagOf(entry)
  if (entry.held === undefined || tag === undefined) return undefined
  const shown = { tag, pushedAtMs: pushedAt(entry), digest: entry.held.digest }
  if (found === undefined) return shown
  return { ...shown, deletion: { ...found.deletion, isConfirmed: found.isConfirmed } }
}

/** Undefined for what is pushed by digest, and for tags that are about another image. */
function tagOf({ key: { reference }, history }: Entry): Tag | undefined {
  if (isDigest(reference)) return undefined
  const newest = newestOf(history)
  return newest !== undefined && subjectOf(newest) !== undefined ? undefined : reference
}

/** What a deleted tag shows was pushed at the newest time that its deletes had seen: the record itself is gone. */
function pushedAt({ history }: Entry): number {
  const visible = visibleOf(history)
  if (visible !== undefined) return msOfTime(visible.record.time)
  const seen = history.flatMap(({ record }) => [...record.seen.values()])
  return msOfTime(Math.max(0, ...seen) as Time)
}
