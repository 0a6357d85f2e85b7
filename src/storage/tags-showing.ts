/** Tags that are deleted with a manifest: those whose newest record names it, and adopted ones, which have no record. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { IndexDb, Reads } from './index-db.ts'
import { hasMember, membersIn, membersOf } from './index-sets.ts'
import { ENTRY, HOLDS, pairKey, SHOWS } from './index-tables.ts'

/** The first of them, at most `limit`. */
export async function tagsShowing(
  index: IndexDb,
  repository: RepositoryName,
  digest: Digest,
  { limit }: { readonly limit: number },
): Promise<readonly Tag[]> {
  const key = pairKey(repository, digest)
  const tags = [...(await membersIn(index, SHOWS, key, { limit }))]
  if (tags.length === limit) return tags
  for await (const tag of membersOf(index, HOLDS, key)) {
    if (!isAdopted(index, repository, tag)) continue
    tags.push(tag)
    if (tags.length === limit) break
  }
  return tags
}

export function isShowing(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  tag: Tag,
): boolean {
  const key = pairKey(repository, digest)
  if (hasMember(reads, SHOWS, key, tag)) return true
  return hasMember(reads, HOLDS, key, tag) && isAdopted(reads, repository, tag)
}

function isAdopted(reads: Reads, repository: RepositoryName, tag: Tag): boolean {
  return reads.get(ENTRY, pairKey(repository, tag))?.records.length === 0
}
