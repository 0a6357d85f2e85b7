/**
 * The ledger: per key what is known (the records no other replaces) and what is held, numbered anew at every change.
 * The numbers in order are the feed: one entry a key, never truncated, complete up to its head.
 */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName, type Tag } from '../oci/name.ts'
import { aboutOf, type History, merge, visibleOf } from '../record/history.ts'
import { decodeStoredRecord } from '../record/record-codec.ts'
import { keyText, parseKeyText, type RecordKey, type SignedRecord } from '../record/tag-record.ts'
import type { Time } from '../record/time.ts'
import { fillHolds } from './fill-holds.ts'
import type { IndexDb, Reads, Transaction } from './index-db.ts'
import { addTo, removeFrom } from './index-lists.ts'
import {
  ENTRY,
  type EntryRow,
  FEED,
  type Held,
  HOLDS,
  MANIFEST,
  META,
  numberKey,
  pairKey,
  REFERRER,
  SHOWS,
  TAG,
  UNUSED,
} from './index-tables.ts'

/** Random bytes of an epoch: no two starts in the life of a mesh have the same. */
export const EPOCH_BYTES = 12

export interface Entry {
  readonly key: RecordKey
  readonly number: number
  readonly history: History
  readonly held?: Held
}

export interface FeedPage {
  readonly entries: readonly Entry[]
  /** The reader has seen everything up to here. */
  readonly through: number
}

export interface Position {
  readonly epoch: string
  readonly number: number
}

export interface Ledger {
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
  /** Inside a transaction: the entries of records about this manifest, and about those, get new numbers. */
  renumberReferrers(tx: Transaction, repository: RepositoryName, digest: Digest): void
}

export type LedgerChange =
  | { readonly kind: 'known' }
  | { readonly kind: 'stored'; readonly cloned: boolean; readonly history: History }

/** Starts of a node whose positions are still understood; a reader from before begins again. */
const MAX_EPOCHS = 64
/** Former tags noted of a manifest: the last of them say what it was. */
const MAX_TAGS = 64
/** Signatures of signatures: deeper chains are not followed. */
const MAX_DEPTH = 4

/** Opens the ledger and begins a new epoch. */
export async function openLedger(
  { index }: { readonly index: IndexDb },
  { epoch }: { readonly epoch: string },
): Promise<Ledger> {
  await fillHolds(index)
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

  function renumberReferrers(
    tx: Transaction,
    repository: RepositoryName,
    digest: Digest,
    depth = 0,
  ): void {
    if (depth > MAX_DEPTH) return
    for (const reference of tx.get(REFERRER, pairKey(repository, digest)) ?? []) {
      const row = tx.get(ENTRY, pairKey(repository, reference))
      if (row === undefined) continue
      write(tx, { repository, reference }, row)
      const shown = visibleOf(historyOf(row))?.record.digest
      if (shown !== undefined) renumberReferrers(tx, repository, shown, depth + 1)
    }
    for (const child of tx.get(MANIFEST, pairKey(repository, digest))?.manifests ?? []) {
      renumberReferrers(tx, repository, child, depth + 1)
    }
  }

  /** Keeps `shows` and `referrer` true when the newest record of a key changed. */
  function point(tx: Transaction, key: RecordKey, before: History, after: History): void {
    const { repository, reference } = key
    const [from, to] = [visibleOf(before)?.record, visibleOf(after)?.record]
    // A delete too is news for whoever was sent what it deletes, once the subject is wanted there again.
    const [oldSubject, newSubject] = [aboutOf(before), aboutOf(after)]
    if (oldSubject !== newSubject) {
      if (oldSubject) removeFrom(tx, REFERRER, pairKey(repository, oldSubject), reference)
      if (newSubject) addTo(tx, REFERRER, pairKey(repository, newSubject), reference)
    }
    if (isDigest(reference) || from?.digest === to?.digest) return
    const tag: Tag = reference
    if (from) removeFrom(tx, SHOWS, pairKey(repository, from.digest), tag)
    if (to) {
      addTo(tx, SHOWS, pairKey(repository, to.digest), tag)
      renumberReferrers(tx, repository, to.digest)
    }
  }

  /** Keeps `holds` true, and notes which tags showed a manifest once. */
  function moveHold(tx: Transaction, key: RecordKey, from?: Digest, to?: Digest): void {
    const { repository, reference } = key
    if (to !== undefined) addTo(tx, HOLDS, pairKey(repository, to), reference)
    if (from === undefined) return
    const left = pairKey(repository, from)
    removeFrom(tx, HOLDS, left, reference)
    if (isDigest(reference)) return
    // Not since when: it was used until now.
    const { tags = [], isOrphan } = tx.get(UNUSED, left) ?? {}
    const known = [...tags.filter((tag) => tag !== reference), reference].slice(-MAX_TAGS)
    tx.put(UNUSED, left, { tags: known, ...(isOrphan === true ? { isOrphan } : {}) })
  }

  return {
    epoch,
    head,
    entry: (key) => readEntry(index, keyText(key)),
    entriesOf: async (repository, { after, limit }) => {
      const range = { after: pairKey(repository, after), below: `${repository}\x01`, limit }
      const rows = await index.page(ENTRY, range)
      return rows.flatMap(([text]) => readEntry(index, text) ?? [])
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
      point(tx, record, before, merged.history)
      noteTime(tx, record.time)
      return { kind: 'stored', cloned: merged.cloned, history: merged.history }
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
    renumberReferrers,
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
  if (row === undefined) return undefined
  const { number, held } = row
  const entry = { key: parseKeyText(text), number, history: historyOf(row) }
  return held === undefined ? entry : { ...entry, held }
}
