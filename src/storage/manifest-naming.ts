/** Looks through the manifests of a repository for one that names a blob: the index has no way back from a blob to its users. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { IndexDb } from './index-db.ts'
import { MANIFEST, pairKey, secondOf } from './index-tables.ts'

/** Rows read at a time. */
const PAGE = 256

/** The first of them; undefined when there is none. */
export async function manifestNaming(
  index: IndexDb,
  repository: RepositoryName,
  digest: Digest,
): Promise<string | undefined> {
  let after = pairKey(repository, '')
  for (;;) {
    const page = await index.page(MANIFEST, { after, below: `${repository}\x01`, limit: PAGE })
    const user = page.find(([, { blobs }]) => blobs.some((blob) => blob.digest === digest))
    if (user !== undefined) return secondOf(user[0])
    const last = page.at(-1)
    if (page.length < PAGE || last === undefined) return undefined
    after = last[0]
  }
}
