/** Parts of image indexes by platform: which a manifest is for, and which are here. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { MissingPart } from './content.ts'
import { isComplete } from './content-keeper.ts'
import type { Reads } from './index-db.ts'
import { MANIFEST, PARENT, pairKey } from './index-tables.ts'

/** Of the manifest, as each index here says that has it as a child: undefined where one says none. */
export function platformsOf(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
): readonly (string | undefined)[] {
  return parentsOf(reads, repository, digest).map(({ platform }) => platform)
}

/** Undefined where the manifest is here, or no index names it. */
export function missingPart(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
): MissingPart | undefined {
  if (reads.get(MANIFEST, pairKey(repository, digest)) !== undefined) return undefined
  const [parent] = parentsOf(reads, repository, digest)
  if (parent === undefined) return undefined
  const { manifests, platforms = [] } = parent.row
  const here = platforms.filter((platform, at) => {
    const child = manifests[at]
    return platform !== '' && child !== undefined && isComplete(reads, repository, child)
  })
  return { index: parent.digest, platform: parent.platform, here: [...new Set(here)].sort() }
}

/** Told of one manifest: an image may be in hundreds of indexes, and any that a tag shows will do. */
const MAX_INDEXES = 16

/** Indexes here that have the manifest as a child, and those that have them, nearest first. */
export function indexesNaming(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
): readonly Digest[] {
  const found = new Set([digest])
  for (const one of found) {
    for (const parent of reads.get(PARENT, pairKey(repository, one)) ?? []) {
      if (found.size <= MAX_INDEXES) found.add(parent)
    }
  }
  return [...found].slice(1)
}

function parentsOf(reads: Reads, repository: RepositoryName, digest: Digest) {
  return (reads.get(PARENT, pairKey(repository, digest)) ?? []).flatMap((parent) => {
    const row = reads.get(MANIFEST, pairKey(repository, parent))
    if (row === undefined) return []
    const platform = row.platforms?.[row.manifests.indexOf(digest)] || undefined
    return [{ digest: parent, row, platform }]
  })
}
