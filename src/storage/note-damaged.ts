/** The end of a repair: what is not whole is noted for the repositories that have it, and what is whole again is forgotten. */
import type { Digest } from '../oci/digest.ts'
import { parseKeyText } from '../record/tag-record.ts'
import type { Check } from './check.ts'
import { noteDamage } from './damage.ts'
import { pagesOf } from './index-pages.ts'
import { BLOB, DAMAGED, MANIFEST } from './index-tables.ts'

/** Rows in one transaction. */
const PAGE = 256

export async function noteDamaged({ index, blobs, bad, clock, signal }: Check): Promise<void> {
  const foundAtMs = clock.now()
  const why = 'found by entrepot verify'
  for (const table of bad.size === 0 ? [] : [BLOB, MANIFEST]) {
    for await (const page of pagesOf<unknown>(index, table, { limit: PAGE })) {
      signal.throwIfAborted()
      const keys = page.map(([key]) => parseKeyText(key))
      await index.transact((tx) => {
        for (const { repository, reference } of keys) {
          const digest = reference as Digest
          if (bad.has(digest)) noteDamage(tx, { repository, digest, why, foundAtMs })
        }
      })
    }
  }
  for await (const page of pagesOf(index, DAMAGED, { limit: PAGE })) {
    const files = await Promise.all(page.map(([digest]) => blobs.stat(digest as Digest)))
    await index.transact((tx) => {
      for (const [at, [digest]] of page.entries()) {
        // Every file that is there was hashed.
        if (files[at] !== undefined && !bad.has(digest as Digest)) tx.delete(DAMAGED, digest)
      }
    })
  }
}
