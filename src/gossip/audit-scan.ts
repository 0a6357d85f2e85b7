/**
 * Looks through the ledger in the order of the keys and gives every entry a hash: what two neighbours compare. Records are
 * hashed as they lie in the index, without decoding them: a million entries are some seconds, page by page.
 */
import { createHash } from 'node:crypto'
import { isDigest } from '../oci/name.ts'
import { newestOf } from '../record/history.ts'
import { parseKeyText } from '../record/tag-record.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { pagesOf } from '../storage/index-pages.ts'
import { ENTRY, type EntryRow } from '../storage/index-tables.ts'
import { historyOf } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import type { Filter, Naming } from '../topology/flow.ts'
import { HASH_BYTES } from './audit-codec.ts'

export interface ScanDeps {
  readonly index: Pick<IndexDb, 'page'>
  readonly naming: Naming
}

export interface ScanRange {
  /** Only keys greater than this one; empty = from the first. */
  readonly after: string
  /** Only keys up to this one; absent = to the last. */
  readonly until?: string | undefined
  /** Only entries that pass; absent = all. */
  readonly filter?: Filter
  /** Only entries numbered up to this; absent = all. */
  readonly through?: number
}

export interface ScannedEntry {
  readonly key: string
  readonly row: EntryRow
  /** HASH_BYTES bytes over the key and all its records. */
  readonly hash: Buffer
}

/** Rows read at a time, between two turns of the event loop. */
const PAGE = 256

export async function* scanEntries(
  { index, naming }: ScanDeps,
  { after, until, filter, through = Number.MAX_SAFE_INTEGER }: ScanRange,
): AsyncGenerator<ScannedEntry> {
  // No key lies between a key and itself followed by NUL.
  const below = until === undefined ? {} : { below: `${until}\0` }
  for await (const page of pagesOf(index, ENTRY, { after, limit: PAGE, ...below })) {
    for (const [key, row] of page) {
      if (row.records.length === 0 || row.number > through) continue
      if (filter !== undefined && !(await passes(filter, naming, key, row))) continue
      yield { key, row, hash: hashOf(key, row) }
    }
  }
}

/** As the feed decides it. A subject only ever lets more through: the record is decoded where the key alone does not do. */
async function passes(
  filter: Filter,
  naming: Naming,
  text: string,
  row: EntryRow,
): Promise<boolean> {
  const key = parseKeyText(text)
  if (!filter.reads(key.repository)) return false
  if (!isDigest(key.reference) && (await filter.passes(key, naming))) return true
  const history = historyOf(row)
  return filter.passes(itemOf(key, newestOf(history)), naming)
}

function hashOf(key: string, { records }: EntryRow): Buffer {
  const hash = createHash('sha256').update(key)
  // Every record is an envelope that says its own length.
  for (const bytes of records) hash.update(bytes)
  return hash.digest().subarray(0, HASH_BYTES)
}

/** An order-free sum of hashes. */
export interface Sum {
  add(hash: Buffer): void
  /** HASH_BYTES bytes. */
  bytes(): Buffer
}

export function createSum(): Sum {
  const sum = Buffer.alloc(HASH_BYTES)
  return {
    add: (hash) => {
      for (let at = 0; at < HASH_BYTES; at += 4) {
        sum.writeInt32LE(sum.readInt32LE(at) ^ hash.readInt32LE(at), at)
      }
    },
    bytes: () => Buffer.from(sum),
  }
}
