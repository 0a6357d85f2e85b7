/** Fills the table `holds` of an index that was written before there was one. Once; it can be cut off and begun again. */
import { parseKeyText } from '../record/tag-record.ts'
import type { IndexDb } from './index-db.ts'
import { addTo } from './index-lists.ts'
import { ENTRY, HOLDS, META, pairKey } from './index-tables.ts'

/** Entries in one batch. */
const PAGE = 256

export async function fillHolds(index: IndexDb): Promise<void> {
  if (index.get(META, 'holds') !== undefined) return
  let after = ''
  for (;;) {
    const rows = await index.page(ENTRY, { after, limit: PAGE })
    await index.transact((tx) => {
      for (const [text, { held }] of rows) {
        const { repository, reference } = parseKeyText(text)
        if (held !== undefined) addTo(tx, HOLDS, pairKey(repository, held.digest), reference)
      }
      if (rows.length < PAGE) tx.put(META, 'holds', { version: 1 })
    })
    const last = rows.at(-1)
    if (rows.length < PAGE || last === undefined) return
    after = last[0]
  }
}
