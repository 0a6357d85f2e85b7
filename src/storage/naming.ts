/** Naming: which tags make a manifest worth having, directly, as a child of an index, or as what it is about. */
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { type RecordKey, subjectOf, type TagRecord } from '../record/tag-record.ts'
import type { Item } from '../topology/flow.ts'
import type { IndexDb, Reads } from './index-db.ts'
import { membersOf } from './index-sets.ts'
import { ENTRY, LOST, MANIFEST, PARENT, pairKey, REFERRER, SHOWS } from './index-tables.ts'
import { historyOf } from './ledger.ts'

/** Index in index, signature of a signature: deeper chains are not followed. */
const MAX_DEPTH = 4

type PagedReads = Pick<IndexDb, 'get' | 'page'>

/**
 * Tags that show the digest, or an index that has it as a child, or the manifest that it is about. Read as they are asked
 * for: whoever looks for one that passes a filter seldom needs all of them.
 */
export async function* tagsNaming(
  index: PagedReads,
  repository: RepositoryName,
  digest: Digest,
  { keepsLosers = false }: { readonly keepsLosers?: boolean } = {},
): AsyncGenerator<Tag> {
  for (const one of nearestFirst(digest, (from) => upwards(index, repository, from))) {
    yield* membersOf(index, SHOWS, pairKey(repository, one))
    // Whoever holds the tag holds these too, and what is about them.
    if (keepsLosers) yield* membersOf(index, LOST, pairKey(repository, one))
  }
}

function upwards(reads: Reads, repository: RepositoryName, digest: Digest): readonly Digest[] {
  const key = pairKey(repository, digest)
  const record = visibleOf(historyOf(reads.get(ENTRY, key)))?.record
  const subject = record === undefined ? undefined : subjectOf(record)
  return [...(reads.get(PARENT, key) ?? []), ...(subject === undefined ? [] : [subject])]
}

/** The digest, what `next` says of it, and so on, each once. */
function* nearestFirst(
  digest: Digest,
  next: (from: Digest) => readonly Digest[],
): Generator<Digest> {
  const seen = new Set([digest])
  let level: readonly Digest[] = [digest]
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth += 1) {
    yield* level
    if (depth === MAX_DEPTH) return
    const below = new Set(level.flatMap(next).filter((one) => !seen.has(one)))
    for (const one of below) seen.add(one)
    level = [...below]
  }
}

/**
 * References of records about the manifest, about its children, and about those referrers, each once: what to look at again
 * when it comes. Some may come or go meanwhile: those have news of their own.
 */
export async function* referrersNaming(
  index: PagedReads,
  repository: RepositoryName,
  digest: Digest,
): AsyncGenerator<Reference> {
  const seen = new Set<Digest>([digest])
  const told = new Set<Reference>()
  let level: readonly Digest[] = [digest]
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth += 1) {
    const below = new Set<Digest>()
    for (const one of level) {
      const key = pairKey(repository, one)
      for (const child of index.get(MANIFEST, key)?.manifests ?? []) below.add(child)
      for await (const reference of membersOf(index, REFERRER, key)) {
        if (!told.has(reference)) yield reference
        told.add(reference)
        const row = index.get(ENTRY, pairKey(repository, reference))
        const shown = visibleOf(historyOf(row))?.record.digest
        if (shown !== undefined) below.add(shown)
      }
    }
    level = [...below].filter((one) => !seen.has(one))
    for (const one of level) seen.add(one)
  }
}

/** What a filter has to know of a key whose newest record is this one; without a record only the key. */
export function itemOf({ repository, reference }: RecordKey, record: TagRecord | undefined): Item {
  const subject = record === undefined ? undefined : subjectOf(record)
  return subject === undefined ? { repository, reference } : { repository, reference, subject }
}
