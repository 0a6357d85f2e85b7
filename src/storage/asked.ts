/** What a person asked this node to fetch: a row until it is here, or until newer news makes it another question. */
import type { Digest } from '../oci/digest.ts'
import { visibleOf } from '../record/history.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import type { IndexDb } from './index-db.ts'
import { ASKED, ENTRY } from './index-tables.ts'
import { historyOf } from './ledger.ts'

export interface Asked {
  /** Durable when the promise resolves. */
  ask(key: RecordKey, digest: Digest): Promise<void>
  isAsked(key: RecordKey, digest: Digest): boolean
  /** Forgets a word that newer news made void. What is shown meanwhile ends its own by itself. */
  settle(key: RecordKey): Promise<void>
}

export function createAsked({ index }: { readonly index: IndexDb }): Asked {
  return {
    ask: (key, digest) => index.transact((tx) => tx.put(ASKED, keyText(key), digest)),
    isAsked: (key, digest) => index.get(ASKED, keyText(key)) === digest,
    settle: async (key) => {
      const text = keyText(key)
      if (index.get(ASKED, text) === undefined) return
      await index.transact((tx) => {
        const visible = visibleOf(historyOf(tx.get(ENTRY, text)))?.record.digest
        if (tx.get(ASKED, text) !== visible) tx.delete(ASKED, text)
      })
    },
  }
}
