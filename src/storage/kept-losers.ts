/**
 * Losers of concurrent pushes in the index: which digests lost which tag, and under which tags this node serves them. Both
 * follow the history of the tag that was fought over, in the transaction that changes it; no record is about a loser's tag.
 */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName, type Tag } from '../oci/name.ts'
import type { History } from '../record/history.ts'
import { conflictOf, type LoserTag } from '../record/losers.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import { noteFormerTag } from './former-tags.ts'
import type { Transaction } from './index-db.ts'
import { addMember, removeMember } from './index-sets.ts'
import { KEPT, LOSER, LOST, MANIFEST, pairKey } from './index-tables.ts'

/** Inside a transaction: the history of the key changed. @returns the digests that lost its tag only now. */
export function moveLosers(
  tx: Transaction,
  key: RecordKey,
  before: History,
  after: History,
): readonly Digest[] {
  const { repository, reference } = key
  if (isDigest(reference) || (before.length < 2 && after.length < 2)) return []
  const [old, now] = [digestsOf(before), digestsOf(after)]
  for (const digest of old.difference(now)) {
    removeMember(tx, LOST, pairKey(repository, digest), reference)
    letGo(tx, repository, digest, reference)
  }
  const added = [...now.difference(old)]
  for (const digest of added) addMember(tx, LOST, pairKey(repository, digest), reference)
  const ids = new Set(conflictOf(after)?.losers.map(({ id }) => id))
  serveLosers(
    tx,
    key,
    (tx.get(KEPT, keyText(key)) ?? []).filter((one) => ids.has(one.recordId)),
  )
  return added
}

/** Inside a transaction: exactly these losers of the key are served from now on. @returns those that were not, or undefined when nothing changed. */
export function serveLosers(
  tx: Transaction,
  key: RecordKey,
  losers: readonly LoserTag[],
): readonly LoserTag[] | undefined {
  const { repository, reference } = key
  const before = tx.get(KEPT, keyText(key)) ?? []
  const isIn = (list: readonly LoserTag[]) => (one: LoserTag) =>
    list.some(({ tag, recordId }) => tag === one.tag && recordId === one.recordId)
  const added = losers.filter((one) => !isIn(before)(one))
  const removed = before.filter((one) => !isIn(losers)(one))
  if (added.length === 0 && removed.length === 0) return undefined
  for (const { tag } of removed) tx.delete(LOSER, pairKey(repository, tag))
  for (const { tag, digest } of added) {
    tx.put(LOSER, pairKey(repository, tag), { digest, of: reference as Tag })
  }
  if (losers.length === 0) tx.delete(KEPT, keyText(key))
  else tx.put(KEPT, keyText(key), losers)
  return added
}

function letGo(tx: Transaction, repository: RepositoryName, digest: Digest, tag: Tag): void {
  const key = pairKey(repository, digest)
  if (tx.get(MANIFEST, key) !== undefined) noteFormerTag(tx, key, tag)
}

function digestsOf(history: History): Set<Digest> {
  return new Set(conflictOf(history)?.losers.map(({ record }) => record.digest))
}
