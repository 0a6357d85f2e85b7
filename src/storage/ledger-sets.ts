/** Sets that follow the ledger: which tags show and hold a digest, and which records are about it. In the transaction that changes it. */
import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/name.ts'
import { aboutOf, type History, visibleOf } from '../record/history.ts'
import type { RecordKey } from '../record/tag-record.ts'
import { noteFormerTag } from './former-tags.ts'
import type { Transaction } from './index-db.ts'
import { addMember, removeMember } from './index-sets.ts'
import { HOLDS, pairKey, REFERRER, SHOWS } from './index-tables.ts'
import { moveLosers } from './kept-losers.ts'

/** Keeps `shows` and `referrer` true when the newest record of a key changed. @returns digests that it names only now */
export function pointAt(
  tx: Transaction,
  key: RecordKey,
  before: History,
  after: History,
): readonly Digest[] {
  const { repository, reference } = key
  const [from, to] = [visibleOf(before)?.record, visibleOf(after)?.record]
  // A delete too is news for whoever was sent what it deletes, once the subject is wanted there again.
  const [oldSubject, newSubject] = [aboutOf(before), aboutOf(after)]
  if (oldSubject !== newSubject) {
    if (oldSubject) removeMember(tx, REFERRER, pairKey(repository, oldSubject), reference)
    if (newSubject) addMember(tx, REFERRER, pairKey(repository, newSubject), reference)
  }
  const lost = moveLosers(tx, key, before, after)
  if (isDigest(reference) || from?.digest === to?.digest) return lost
  if (from) removeMember(tx, SHOWS, pairKey(repository, from.digest), reference)
  if (to === undefined) return lost
  addMember(tx, SHOWS, pairKey(repository, to.digest), reference)
  return [...lost, to.digest]
}

/** Keeps `holds` true when the node serves another digest for the key, and notes which tags showed a manifest once. */
export function moveHold(tx: Transaction, key: RecordKey, from?: Digest, to?: Digest): void {
  const { repository, reference } = key
  if (isDigest(reference)) return
  if (to !== undefined) addMember(tx, HOLDS, pairKey(repository, to), reference)
  if (from === undefined) return
  const left = pairKey(repository, from)
  removeMember(tx, HOLDS, left, reference)
  noteFormerTag(tx, left, reference)
}
