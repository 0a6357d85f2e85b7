/**
 * The park: verified records whose time or whose writer's right has not come. It has a bound, and a share for each writer, so that one
 * wrong clock does not fill it for all. What finds no room is left out, and read again from the neighbour's feed later.
 */
import { decodeStoredRecord } from '../record/record-codec.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import type { Time } from '../record/time.ts'
import type { IndexDb, Transaction } from '../storage/index-db.ts'
import { pagesOf } from '../storage/index-pages.ts'
import { PARKED, type ParkedRow } from '../storage/index-tables.ts'
import type { ParkReason, Verdict } from './admission.ts'

export type ParkedVerdict = Verdict & { readonly kind: 'parked' }

export interface Park {
  /** Reads what an earlier process left. `reasonNow`: why a record waits now; its right may have come or gone since. */
  open(reasonNow: (signed: SignedRecord) => ParkReason | undefined): Promise<void>
  /** Whether the record is new to the park, and has room there. */
  takes(verdict: ParkedVerdict): boolean
  /** Inside a transaction. */
  put(tx: Transaction, verdict: ParkedVerdict, from: string): 'parked' | 'known' | 'full'
  /** Inside a transaction: the record is stored, or never to be. @returns what was there */
  remove(tx: Transaction, id: string): Parked | undefined
  /** The transaction that removed these failed. */
  restore(rows: readonly Parked[]): void
  /** All of a reason, by time. */
  list(reason: ParkReason): readonly Parked[]
  /** The one whose time comes first. */
  next(): Parked | undefined
  /** Undefined also after a transaction that put it failed: then it comes again. */
  row(id: string): ParkedRow | undefined
  /** Grows when what was full has room again. */
  roomMade(): number
}

export interface Parked {
  readonly id: string
  readonly writer: string
  readonly time: Time
  readonly reason: ParkReason
}

/** Records in the park, at most: 4 KiB each on disk. */
const MAX_PARKED = 10_000
/** Of them without a right, at most: anybody can make keys, and nothing but another topology makes room. */
const MAX_WITHOUT_RIGHT = 5_000
/** Of one writer, at most: a tenth, so that ten wrong clocks leave room for the next record of another. */
const MAX_OF_WRITER = 1_000
/** Rows read at a time when it is opened. */
const PAGE = 256

export function createPark({ index }: { readonly index: IndexDb }): Park {
  const parked = new Map<string, Parked>()
  const counts = new Map<string, number>()
  const full = new Set<string>()
  let made = 0

  const withoutRight = 'reason no-writer'
  const groups = ({
    writer,
    reason,
  }: Omit<Parked, 'id' | 'time'>): readonly (readonly [string, number])[] => [
    ['all', MAX_PARKED],
    [`writer ${writer}`, MAX_OF_WRITER],
    ...(reason === 'no-writer' ? [[withoutRight, MAX_WITHOUT_RIGHT] as const] : []),
  ]

  function add(row: Parked): void {
    if (parked.has(row.id)) return
    parked.set(row.id, row)
    for (const [group] of groups(row)) counts.set(group, (counts.get(group) ?? 0) + 1)
  }

  function drop(id: string): void {
    const row = parked.get(id)
    if (row === undefined) return
    parked.delete(id)
    for (const [group, limit] of groups(row)) {
      const left = (counts.get(group) ?? 1) - 1
      if (left === 0) counts.delete(group)
      else counts.set(group, left)
      // Half of it at once: reading again for one place would be done as often as there are places.
      if (left <= limit / 2 && full.delete(group)) made += 1
    }
  }

  function isFull(row: Omit<Parked, 'id' | 'time'>): boolean {
    const reached = groups(row).filter(([group, limit]) => (counts.get(group) ?? 0) >= limit)
    for (const [group] of reached) full.add(group)
    return reached.length > 0
  }

  const rowOf = ({ signed, reason }: ParkedVerdict): Parked => ({
    id: signed.id,
    writer: signed.writer,
    time: signed.record.time,
    reason,
  })

  return {
    open: async (reasonNow) => {
      for await (const page of pagesOf(index, PARKED, { limit: PAGE })) {
        for (const [, { bytes, reason }] of page) {
          const signed = decodeStoredRecord(bytes)
          add(rowOf({ kind: 'parked', signed, reason: reasonNow(signed) ?? reason }))
        }
      }
    },
    takes: (verdict) => !parked.has(verdict.signed.id) && !isFull(rowOf(verdict)),
    put: (tx, verdict, from) => {
      const { signed, reason } = verdict
      if (tx.get(PARKED, signed.id) !== undefined) return 'known'
      const row = rowOf(verdict)
      if (!parked.has(row.id) && isFull(row)) return 'full'
      add(row)
      tx.put(PARKED, row.id, { bytes: signed.bytes, from, reason })
      return 'parked'
    },
    remove: (tx, id) => {
      const row = parked.get(id)
      if (row === undefined) return undefined
      drop(id)
      tx.delete(PARKED, id)
      return row
    },
    restore: (rows) => {
      for (const row of rows) add(row)
    },
    list: (reason) =>
      [...parked.values()]
        .filter((row) => row.reason === reason)
        .sort((a, b) => a.time - b.time || (a.id < b.id ? -1 : 1)),
    next: () => {
      let first: Parked | undefined
      for (const row of parked.values()) {
        if (row.reason === 'future' && (first === undefined || row.time < first.time)) first = row
      }
      return first
    },
    row: (id) => index.get(PARKED, id),
    roomMade: () => made,
  }
}
