/** What somebody asked this node to fetch: a row until it is here, or until newer news makes it another question. */
import type { Digest } from '../oci/digest.ts'
import { visibleOf } from '../record/history.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import { unitePlatforms } from '../topology/platforms.ts'
import type { Platforms } from '../topology/topology.ts'
import type { IndexDb } from './index-db.ts'
import { ASKED, ENTRY } from './index-tables.ts'
import { historyOf } from './ledger.ts'

export interface Asked {
  /** Durable when the promise resolves. What was asked of the same image before stays asked. */
  ask(key: RecordKey, digest: Digest, platforms?: Platforms): Promise<void>
  /** What was asked of the image; undefined: nothing was. */
  of(key: RecordKey, digest: Digest): Platforms | undefined
  /** Forgets a word that newer news made void. What is shown meanwhile ends its own by itself. */
  settle(key: RecordKey): Promise<void>
}

export function createAsked({ index }: { readonly index: IndexDb }): Asked {
  return {
    ask: (key, digest, platforms = 'all') =>
      index.transact((tx) => {
        const row = tx.get(ASKED, keyText(key))
        const before = row?.digest === digest ? row.platforms : undefined
        const united = unitePlatforms(before, platforms) ?? platforms
        tx.put(ASKED, keyText(key), { digest, platforms: united })
      }),
    of: (key, digest) => {
      const row = index.get(ASKED, keyText(key))
      return row?.digest === digest ? row.platforms : undefined
    },
    settle: async (key) => {
      const text = keyText(key)
      if (index.get(ASKED, text) === undefined) return
      await index.transact((tx) => {
        const visible = visibleOf(historyOf(tx.get(ENTRY, text)))?.record.digest
        if (tx.get(ASKED, text)?.digest !== visible) tx.delete(ASKED, text)
      })
    },
  }
}
