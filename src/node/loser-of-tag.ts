/** What the tag of a loser is: which tag was fought over, and the two pushes, as far as this node knows. */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type Tag } from '../oci/name.ts'
import { createLoserTags } from '../planner/loser-tags.ts'
import type { SignedPut } from '../record/history.ts'
import { conflictOf, foughtOver } from '../record/losers.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { IndexDb } from '../storage/index-db.ts'
import type { Ledger } from '../storage/ledger.ts'
import { loserAt } from '../storage/loser-tags.ts'
import type { Topology } from '../topology/topology.ts'

export interface FoundLoser {
  /** The tag that was fought over. */
  readonly of: Tag
  /** What is served under it here. */
  readonly served?: Digest
  /** What the tag shows, and what won; undefined where somebody settled it since. */
  readonly conflict?: { readonly loser: SignedPut; readonly winner: SignedPut }
}

interface FindLoserDeps {
  readonly topology: Topology
  readonly ledger: Pick<Ledger, 'entry'>
  readonly index: Pick<IndexDb, 'get'>
}

/** Undefined where it is no tag of a loser, as far as is known here; a tag with records of its own is that. */
export function findLoser(
  { topology, ledger, index }: FindLoserDeps,
  { repository, reference }: RecordKey,
): FoundLoser | undefined {
  if (isDigest(reference) || ledger.entry({ repository, reference }) !== undefined) return undefined
  const losers = createLoserTags(topology)
  const row = loserAt(index, repository, reference)
  const told = losers.keeps(repository) ? foughtOver(reference) : undefined
  const of = row?.of ?? told
  const entry = of && ledger.entry({ repository, reference: of })
  if (of === undefined || entry === undefined) return undefined
  const lost = losers.of(repository, entry.history).find(({ tag }) => tag === reference)
  const conflict = conflictOf(entry.history)
  const loser = conflict?.losers.find(({ id }) => id === lost?.recordId)
  const found = { of, ...(row === undefined ? {} : { served: row.digest }) }
  if (conflict === undefined || loser === undefined) return found
  return { ...found, conflict: { loser, winner: conflict.winner } }
}
