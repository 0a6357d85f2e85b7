/**
 * What keeps a manifest of a repository: a tag, an index or image that is kept itself, or that it was pushed by digest for
 * its own sake. Every answer is a few reads by key, so that it can be asked again inside the removing transaction.
 */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { Reads } from './index-db.ts'
import { sizeOf } from './index-sets.ts'
import {
  ENTRY,
  firstOf,
  GONE,
  type GoneRow,
  HOLDS,
  LOST,
  MANIFEST,
  PARENT,
  pairKey,
  SHOWS,
  UNUSED,
} from './index-tables.ts'

export type ManifestUse =
  | { readonly kind: 'used' }
  /** `parent` is kept for a while itself: what it names goes after it. */
  | { readonly kind: 'unused'; readonly parent?: Digest; readonly subject?: Digest }

export interface ManifestUseOptions {
  /** Whether the topology asks this node for what was pushed by that digest, tag or no tag. */
  readonly isWanted: boolean
  /** The node let go of it, though the newest record of a tag names it. */
  readonly isEvicted?: boolean
}

export function manifestUse(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  { isWanted, isEvicted = false }: ManifestUseOptions,
): ManifestUse {
  const key = pairKey(repository, digest)
  const isKept = isEvicted ? sizeOf(reads, HOLDS, key) > 0 : isTagged(reads, repository, digest)
  if (isKept) return { kind: 'used' }
  const parents = reads.get(PARENT, key) ?? []
  const subject = subjectHere(reads, repository, digest)
  const needed = needs(reads, repository, digest, { isRoot: true, isWanted }, new Set())
  if (needed) return { kind: 'used' }
  const [parent] = parents
  return {
    kind: 'unused',
    ...(parent === undefined ? {} : { parent }),
    ...(subject === undefined ? {} : { subject }),
  }
}

/** A tag that is served shows it, the newest record of one names it, or it lost one in a concurrent push that nobody settled yet. */
export function isTagged(reads: Reads, repository: RepositoryName, digest: Digest): boolean {
  const key = pairKey(repository, digest)
  return [SHOWS, HOLDS, LOST].some((table) => sizeOf(reads, table, key) > 0)
}

function needs(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  { isRoot, isWanted }: { readonly isRoot: boolean; readonly isWanted: boolean },
  seen: Set<Digest>,
): boolean {
  if (seen.has(digest)) return false
  seen.add(digest)
  if (!isRoot && isTagged(reads, repository, digest)) return true
  const key = pairKey(repository, digest)
  const parents = reads.get(PARENT, key) ?? []
  const subject = subjectHere(reads, repository, digest)
  const upwards = subject === undefined ? parents : [...parents, subject]
  // Of what stands above, the topology's word is not asked: its own turn comes, and until then it counts as kept.
  const above = { isRoot: false, isWanted: true }
  if (upwards.some((one) => needs(reads, repository, one, above, seen))) return true
  return isHeldByItself(reads, { repository, reference: digest }, upwards.length > 0, isWanted)
}

/** Pushed by digest, and not for the sake of something that is unused now, or gone. */
function isHeldByItself(
  reads: Reads,
  { repository, reference }: RecordKey,
  hasUpwards: boolean,
  isWanted: boolean,
): boolean {
  const key = pairKey(repository, reference)
  const row = reads.get(ENTRY, key)
  if (row?.held === undefined) return false
  // Adopted, or asked for by the topology itself.
  if (row.records.length === 0) return true
  return isWanted || (!hasUpwards && !isOrphan(reads, { repository, reference }))
}

/** What it was pushed for is gone: its index said so when it left, or its subject did, and nobody pushed it again since. */
export function isOrphan(reads: Reads, { repository, reference }: RecordKey): boolean {
  const key = pairKey(repository, reference)
  return reads.get(UNUSED, key)?.isOrphan ?? subjectGone(reads, key) !== undefined
}

/** What the manifest that it is about left behind, where that is gone. */
export function subjectGone(reads: Reads, key: string): GoneRow | undefined {
  const subject = reads.get(MANIFEST, key)?.subject
  return subject && reads.get(GONE, pairKey(firstOf(key), subject))
}

/** The manifest that it is about, where the repository has it. */
function subjectHere(reads: Reads, repository: RepositoryName, digest: Digest): Digest | undefined {
  const subject = reads.get(MANIFEST, pairKey(repository, digest))?.subject
  if (subject === undefined) return undefined
  return reads.get(MANIFEST, pairKey(repository, subject)) === undefined ? undefined : subject
}
