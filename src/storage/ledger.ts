/**
 * The ledger: per key what is known (the records no other replaces) and what is held, numbered anew at every change.
 * The numbers in order are the feed: one entry a key, never truncated, complete up to its head.
 */
import { type Logger, silentLogger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { type History, merge, visibleOf } from '../record/history.ts'
import { decodeStoredRecord } from '../record/record-codec.ts'
import { keyText, parseKeyText, type RecordKey, type SignedRecord } from '../record/tag-record.ts'
import type { Time } from '../record/time.ts'
import type { IndexDb, Reads, Transaction } from './index-db.ts'
import {
  ENTRY,
  type EntryRow,
  endOf,
  FEED,
  type Held,
  KEPT,
  META,
  numberKey,
  pairKey,
  TAG,
} from './index-tables.ts'
import { bringUpToDate } from './index-version.ts'
import { moveHold, pointAt } from './ledger-sets.ts'
import { createRenumbering } from './renumbering.ts'

/** Random bytes of an epoch: no two starts in the life of a mesh have the same. */
export const EPOCH_BYTES = 12

export interface Entry {
  readonly key: RecordKey
  readonly number: number
  readonly history: History
  readonly held?: Held
  /** Losers of the key that the node serves too. */
  readonly kept?: readonly Digest[]
}

export interface FeedPage {
  readonly entries: readonly Entry[]
  /** The reader has seen everything up to here. */
  readonly through: number
}

export interface ScanPage {
  readonly entries: readonly Entry[]
  /** Text of the last key; undefined when there are no more. */
  readonly last: string | undefined
}

export interface Position {
  readonly epoch: string
  readonly number: number
}

export interface Ledger extends AsyncDisposable {
  /** Of this start; random. */
  readonly epoch: string
  /** Greatest number in the feed. */
  head(): number
  entry(key: RecordKey): Entry | undefined
  /** Entries of a repository by reference, only those after one. */
  entriesOf(
    repository: RepositoryName,
    page: { readonly after: string; readonly limit: number },
  ): Promise<readonly Entry[]>
  /** All entries by key: one pass over the rows, for whoever looks at everything. `last` is where the next page goes on. */
  scan(page: { readonly after: string; readonly limit: number }): Promise<ScanPage>
  /** Entries after a number, in order. */
  page(after: number, limit: number): Promise<FeedPage>
  /** Where a reader at `position` may go on; 0 = from the beginning: this feed never gave out that position. */
  resume(position: Position | undefined): number
  /** Called after the head moved. @returns unsubscribe. */
  onAdvance(listener: () => void): () => void
  /** Inside a transaction: merges a verified record. */
  add(tx: Transaction, signed: SignedRecord): LedgerChange
  /** Inside a transaction: what the node serves for the key from now on. */
  hold(tx: Transaction, key: RecordKey, held: Held | undefined): void
  /** Inside a transaction: the entries of records about this manifest, and about those, get new numbers after it. */
  renumberReferrers(tx: Transaction, repository: RepositoryName, digest: Digest): void
  /** Resolves when all that were to get new numbers have them, or the index takes no writes. */
  settled(): Promise<void>
}

export type LedgerChange =
  | { readonly kind: 'known'; readonly cloned: boolean }
  | {
      readonly kind: 'stored'
      readonly cloned: boolean
      readonly before: History
      readonly history: History
    }

/** Starts of a node whose positions are still understood; a reader from before begins again. */
const MAX_EPOCHS = 64
/** Opens the ledger and begins a new epoch. @throws INDEX_VERSION_UNKNOWN when the index is of a later form. */
export async function openLedger(
  { index, logger = silentLogger }: { readonly index: IndexDb; readonly logger?: Logger },
  { epoch }: { readonly epoch: string },
): Promise<Ledger> {
  await bringUpToDate(index)
  await index.transact((tx) => {
    const { epochs = [], last = 0 } = tx.get(META, 'feed') ?? {}
    const kept = [...epochs, { epoch, start: last }].slice(-MAX_EPOCHS)
    tx.put(META, 'feed', { epochs: kept, last })
  })
  const epochs = index.get(META, 'feed')?.epochs ?? []
  const listeners = new Set<() => void>()
  const head = () => index.get(META, 'feed')?.last ?? 0

  function write(tx: Transaction, key: RecordKey, row: Omit<EntryRow, 'number'>): void {
    const text = keyText(key)
    const feed = tx.get(META, 'feed') ?? {}
    const number = (feed.last ?? 0) + 1
    tx.put(META, 'feed', { ...feed, last: number })
    const before = tx.get(ENTRY, text)
    if (before !== undefined) tx.delete(FEED, numberKey(before.number))
    tx.put(ENTRY, text, { ...row, number })
    tx.put(FEED, numberKey(number), text)
    tx.afterCommit(() => {
      for (const listener of listeners) listener()
    })
  }

  const renumbering = createRenumbering({
    index,
    logger,
    renumber: (tx, key) => {
      const row = tx.get(ENTRY, keyText(key))
      if (row !== undefined) write(tx, key, row)
      return visibleOf(historyOf(row))?.record.digest
    },
  })

  return {
    epoch,
    head,
    entry: (key) => readEntry(index, keyText(key)),
    entriesOf: async (repository, { after, limit }) => {
      const range = { after: pairKey(repository, after), below: endOf(repository), limit }
      const rows = await index.page(ENTRY, range)
      return rows.flatMap(([text]) => readEntry(index, text) ?? [])
    },
    scan: async (page) => {
      const rows = await index.page(ENTRY, page)
      return {
        entries: rows.map(([text, row]) => entryOf(index, text, row)),
        last: rows.length < page.limit ? undefined : rows.at(-1)?.[0],
      }
    },
    page: async (after, limit) => {
      // The head is read first: what is numbered while the page is read belongs to the next page.
      const newest = head()
      const range = { after: numberKey(after), below: numberKey(newest + 1), limit }
      const rows = await index.page(FEED, range)
      // An entry that was numbered anew meanwhile comes again under its new number: passing it here loses nothing.
      const entries = rows.flatMap(([number, text]) => {
        const entry = readEntry(index, text)
        return entry === undefined ? [] : [{ ...entry, number: Number(number) }]
      })
      const last = rows.at(-1)
      const through = rows.length < limit || last === undefined ? newest : Number(last[0])
      return { entries, through: Math.max(through, after) }
    },
    resume: (position) => {
      const at = epochs.findIndex(({ epoch: known }) => known === position?.epoch)
      if (position === undefined || at === -1) return 0
      const end = epochs[at + 1]?.start ?? head()
      return position.number > end ? 0 : position.number
    },
    onAdvance: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    add: (tx, signed) => {
      const { record } = signed
      const row = tx.get(ENTRY, keyText(record))
      const before = historyOf(row)
      const merged = merge(before, signed)
      if (merged.kind === 'known') return merged
      const records = merged.history.map(({ bytes }) => bytes)
      write(tx, record, { ...(row?.held === undefined ? {} : { held: row.held }), records })
      for (const digest of pointAt(tx, record, before, merged.history)) {
        renumbering.request(tx, record.repository, digest)
      }
      noteTime(tx, record.time)
      return { kind: 'stored', cloned: merged.cloned, before, history: merged.history }
    },
    hold: (tx, key, held) => {
      const text = keyText(key)
      const { records = [], held: before } = tx.get(ENTRY, text) ?? {}
      write(tx, key, held === undefined ? { records } : { records, held })
      if (before?.digest !== held?.digest) moveHold(tx, key, before?.digest, held?.digest)
      if (isDigest(key.reference)) return
      if (held === undefined) tx.delete(TAG, text)
      else tx.put(TAG, text, held.digest)
    },
    renumberReferrers: renumbering.request,
    settled: renumbering.settled,
    [Symbol.asyncDispose]: () => renumbering[Symbol.asyncDispose](),
  }
}

/** Greatest logical time in the index: a restarted node never signs an earlier one. */
export function newestTime(reads: Reads): Time {
  return (reads.get(META, 'clock')?.time ?? 0) as Time
}

function noteTime(tx: Transaction, time: Time): void {
  if (time > newestTime(tx)) tx.put(META, 'clock', { time })
}

export function historyOf(row: EntryRow | undefined): History {
  return (row?.records ?? []).map(decodeStoredRecord)
}

function readEntry(reads: Reads, text: string): Entry | undefined {
  const row = reads.get(ENTRY, text)
  return row && entryOf(reads, text, row)
}

function entryOf(reads: Reads, text: string, row: EntryRow): Entry {
  const { number, held } = row
  const history = historyOf(row)
  // Hardly any key has losers: the others cost no further read.
  const kept = history.length < 2 ? undefined : reads.get(KEPT, text)
  return {
    key: parseKeyText(text),
    number,
    history,
    ...(held === undefined ? {} : { held }),
    ...(kept === undefined ? {} : { kept: kept.map(({ digest }) => digest) }),
  }
}
