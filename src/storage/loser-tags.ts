/** Tags of losers as clients meet them: what they show, and why they cannot be pushed or deleted. */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { isDigest, type RepositoryName, type Tag } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Reads, Transaction } from './index-db.ts'
import { sizeOf } from './index-sets.ts'
import { ENTRY, LOSER, LOST, type LoserRow, pairKey } from './index-tables.ts'
import { historyOf } from './ledger.ts'

/** The loser that this node serves under the tag. A tag with records of its own is that, however it is named. */
export function loserAt(reads: Reads, repository: RepositoryName, tag: Tag): LoserRow | undefined {
  const key = pairKey(repository, tag)
  const row = reads.get(LOSER, key)
  if (row === undefined || visibleOf(historyOf(reads.get(ENTRY, key))) !== undefined)
    return undefined
  return row
}

/** @throws OciError DENIED for a tag that no record is about: it shows a loser, and goes with the conflict. */
export function refuseLoserTag(tx: Transaction, { repository, reference }: RecordKey): void {
  const row = isDigest(reference) ? undefined : loserAt(tx, repository, reference)
  if (row === undefined) return
  const message = `${reference} is no tag of its own: it shows a push of ${row.of} that lost to another; to settle it push or delete ${row.of}, and it goes`
  throw new OciError('DENIED', { message })
}

/** @throws OciError DENIED for a manifest that lost a tag, and is the only thing that says so; `tag`: one of those it lost. */
export function refuseLoser(
  tx: Transaction,
  repository: RepositoryName,
  digest: Digest,
  tag: Tag | undefined,
): void {
  if (sizeOf(tx, LOST, pairKey(repository, digest)) === 0) return
  const message = `a push of ${tag ?? 'a tag'} with this manifest lost to another one; to settle it push or delete ${tag ?? 'that tag'}, then delete the manifest`
  throw new OciError('DENIED', { message })
}
