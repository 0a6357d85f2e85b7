/** What a pushed manifest names: which of it is here, what is missing, and why the push is refused for it. */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { Descriptor, Manifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore } from './blob-store.ts'
import { isComplete } from './content-keeper.ts'
import type { Damage } from './damage.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { BLOB, pairKey } from './index-tables.ts'

export interface PushedPartsDeps {
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly damage: Pick<Damage, 'has' | 'report'>
}

/** What the repository lacks of a manifest; a child that lacks something itself counts. */
export function missingOf(
  tx: Transaction,
  repository: RepositoryName,
  manifest: Manifest,
  sizes: ReadonlyMap<Digest, number>,
): { readonly missing: readonly Digest[]; readonly isSparse: boolean } {
  const blobs = manifest.blobs.filter(
    ({ digest }) => !sizes.has(digest) || tx.get(BLOB, pairKey(repository, digest)) === undefined,
  )
  const manifests = manifest.manifests.filter(({ digest }) => !isComplete(tx, repository, digest))
  return {
    missing: [...blobs, ...manifests].map(({ digest }) => digest),
    isSparse: blobs.length > 0,
  }
}

/** Digests in one error, at most: a client pushes them one by one anyway. */
const MAX_NAMED = 100

/** Children before parents: a manifest is refused while the repository lacks one of its blobs or manifests. */
export function refuseMissing(repository: RepositoryName, missing: readonly Digest[]): void {
  if (missing.length === 0) return
  const message = `push these to ${repository} first: ${missing.slice(0, 5).join(', ')}`
  const detail = { missing: missing.slice(0, MAX_NAMED), count: missing.length }
  throw new OciError('MANIFEST_BLOB_UNKNOWN', { message, detail })
}

export function refuseWrongSizes(manifest: Manifest, sizes: ReadonlyMap<Digest, number>): void {
  for (const { digest, size } of manifest.blobs) {
    if ((sizes.get(digest) ?? size) === size) continue
    const message = `${digest} has ${sizes.get(digest)} bytes, the manifest says ${size}`
    throw new OciError('SIZE_INVALID', { message })
  }
}

/** Of the blobs that are here whole. */
export async function sizesOf(
  { index, blobs, damage }: PushedPartsDeps,
  repository: RepositoryName,
  descriptors: readonly Descriptor[],
): Promise<ReadonlyMap<Digest, number>> {
  const sizes = new Map<Digest, number>()
  // A manifest may name 30,000 digests: asking the disk for each that nobody pushed would hold up everybody's files.
  const pushed = new Map(descriptors.map((one) => [one.digest, one] as const))
  for (const digest of pushed.keys()) {
    if (index.get(BLOB, pairKey(repository, digest)) === undefined) pushed.delete(digest)
  }
  await Promise.all(
    [...pushed.values()].map(async ({ digest, size }) => {
      const came = damage.has(digest) ? undefined : (await blobs.stat(digest))?.size
      if (came === undefined) return
      // It had the right size when it came: not the manifest is wrong, the file is.
      if (came !== size && index.get(BLOB, pairKey(repository, digest))?.size === size) {
        await damage.report(repository, digest, `expected ${size} bytes, the file has ${came}`)
        return
      }
      sizes.set(digest, came)
    }),
  )
  return sizes
}
