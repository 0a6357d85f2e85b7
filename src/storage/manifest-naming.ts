/** Looks through the manifests of a repository for one that names a blob: the index has no way back from a blob to its users. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { IndexDb } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { endOf, MANIFEST, pairKey, secondOf } from './index-tables.ts'

/** Rows read at a time. */
const PAGE = 256

/** The first of them; undefined when there is none. */
export async function manifestNaming(
  index: IndexDb,
  repository: RepositoryName,
  digest: Digest,
): Promise<string | undefined> {
  const range = { after: pairKey(repository, ''), below: endOf(repository), limit: PAGE }
  for await (const page of pagesOf(index, MANIFEST, range)) {
    const user = page.find(([, { blobs }]) => blobs.some((blob) => blob.digest === digest))
    if (user !== undefined) return secondOf(user[0])
  }
  return undefined
}
