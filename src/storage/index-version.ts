/** The form of an index: what was written in an earlier form is brought into this one at the start, a later one is refused. */
import { EntrepotError } from '../lib/errors.ts'
import { isDigest } from '../oci/name.ts'
import { decodeStoredRecord } from '../record/record-codec.ts'
import { parseKeyText } from '../record/tag-record.ts'
import type { IndexDb, Table, Transaction } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { addMember } from './index-sets.ts'
import {
  ABOUT,
  ENTRY,
  HOLDS,
  INDEX_VERSION,
  MANIFEST,
  META,
  pairKey,
  REFERRER,
  type SetTable,
  SHOWS,
} from './index-tables.ts'
import { moveLosers } from './kept-losers.ts'

/** Rows in one batch. */
const PAGE = 256

/** It can be cut off and begun again. @throws INDEX_VERSION_UNKNOWN */
export async function bringUpToDate(index: IndexDb): Promise<void> {
  const isNew = index.get(META, 'feed') === undefined
  const version = index.get(META, 'index')?.version ?? (isNew ? INDEX_VERSION : 1)
  if (version > INDEX_VERSION) {
    const message = `the index has form ${version}, this program knows form ${INDEX_VERSION}: start the version of entrepot that wrote it, or a later one`
    throw new EntrepotError('INDEX_VERSION_UNKNOWN', message, { context: { version } })
  }
  if (version === 1) await listsToSets(index)
  if (index.get(META, 'index')?.version === INDEX_VERSION) return
  await index.transact((tx) => tx.put(META, 'index', { version: INDEX_VERSION }))
}

/** Form 1 had lists in one row, of digests among what `holds` named, and no `about` and no `lost`. */
async function listsToSets(index: IndexDb): Promise<void> {
  for (const table of [SHOWS, REFERRER]) {
    await eachRow(index, table, (tx, key, row) => {
      for (const member of takeList(tx, table, key, row)) addMember<string>(tx, table, key, member)
    })
  }
  // Earlier still there was no `holds`: the entries say what it must have.
  await eachRow(index, HOLDS, (tx, key, row) => void takeList(tx, HOLDS, key, row))
  await eachRow(index, ENTRY, (tx, text, { held, records }) => {
    const { repository, reference } = parseKeyText(text)
    const isFoughtOver = records.length > 1
    if (isFoughtOver) moveLosers(tx, parseKeyText(text), [], records.map(decodeStoredRecord))
    if (held === undefined || isDigest(reference)) return
    addMember(tx, HOLDS, pairKey(repository, held.digest), reference)
  })
  await eachRow(index, MANIFEST, (tx, text, { subject }) => {
    const { repository, reference } = parseKeyText(text)
    if (subject === undefined || !isDigest(reference)) return
    addMember(tx, ABOUT, pairKey(repository, subject), reference)
  })
}

/** The members of a row in the form of a list, which goes; none of a row that has the new form. */
function takeList(
  tx: Transaction,
  table: SetTable<string>,
  key: string,
  row: unknown,
): readonly string[] {
  if (!Array.isArray(row)) return []
  tx.delete(table, key)
  return row as readonly string[]
}

async function eachRow<V>(
  index: IndexDb,
  table: Table<V>,
  change: (tx: Transaction, key: string, row: V) => void,
): Promise<void> {
  for await (const page of pagesOf(index, table, { limit: PAGE })) {
    await index.transact((tx) => {
      for (const [key, row] of page) change(tx, key, row)
    })
  }
}
