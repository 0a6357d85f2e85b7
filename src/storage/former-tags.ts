/** Tags that a manifest had once: they say what it was, when it is collected or has to be explained. */
import type { Tag } from '../oci/name.ts'
import type { Transaction } from './index-db.ts'
import { UNUSED } from './index-tables.ts'

/** Tags noted of a manifest, at most: the last of them say what it was. */
const MAX_TAGS = 64

/** Inside a transaction: the manifest at `key` (repository NUL digest) has lost the tag. Its time begins anew: it was used until now. */
export function noteFormerTag(tx: Transaction, key: string, tag: Tag): void {
  const { tags = [], isOrphan } = tx.get(UNUSED, key) ?? {}
  const known = [...tags.filter((one) => one !== tag), tag].slice(-MAX_TAGS)
  tx.put(UNUSED, key, { tags: known, ...(isOrphan === undefined ? {} : { isOrphan }) })
}
