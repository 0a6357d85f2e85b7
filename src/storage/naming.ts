/** Naming: which tags make a manifest worth having, directly, as a child of an index, or as what it is about. */
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { type RecordKey, subjectOf, type TagRecord } from '../record/tag-record.ts'
import type { Item } from '../topology/flow.ts'
import type { Reads } from './index-db.ts'
import { ENTRY, MANIFEST, PARENT, pairKey, REFERRER, SHOWS } from './index-tables.ts'
import { historyOf } from './ledger.ts'

/** Index in index, signature of a signature: deeper chains are not followed. */
const MAX_DEPTH = 4

/** Tags that show the digest, or an index that has it as a child, or the manifest that it is about. */
export function tagsNaming(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  depth = 0,
): readonly Tag[] {
  if (depth > MAX_DEPTH) return []
  const key = pairKey(repository, digest)
  const record = visibleOf(historyOf(reads.get(ENTRY, key)))?.record
  const subject = record === undefined ? undefined : subjectOf(record)
  const upwards = [...(reads.get(PARENT, key) ?? []), ...(subject === undefined ? [] : [subject])]
  const tags = new Set(reads.get(SHOWS, key))
  for (const next of upwards) {
    for (const tag of tagsNaming(reads, repository, next, depth + 1)) tags.add(tag)
  }
  return [...tags]
}

/** References of records about the manifest, about its children, and about those referrers: what to look at again when it comes. */
export function referrersNaming(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  depth = 0,
): readonly Reference[] {
  if (depth > MAX_DEPTH) return []
  const key = pairKey(repository, digest)
  const direct = reads.get(REFERRER, key) ?? []
  const shown = direct.flatMap((reference) => {
    const record = visibleOf(historyOf(reads.get(ENTRY, pairKey(repository, reference))))?.record
    return record === undefined ? [] : [record.digest]
  })
  const next = [...(reads.get(MANIFEST, key)?.manifests ?? []), ...shown]
  const further = next.flatMap((one) => referrersNaming(reads, repository, one, depth + 1))
  return [...new Set([...direct, ...further])]
}

/** What a filter has to know of a key whose newest record is this one; without a record only the key. */
export function itemOf({ repository, reference }: RecordKey, record: TagRecord | undefined): Item {
  const subject = record === undefined ? undefined : subjectOf(record)
  return subject === undefined ? { repository, reference } : { repository, reference, subject }
}
