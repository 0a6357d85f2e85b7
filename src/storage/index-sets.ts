/**
 * Sets in rows: a row for each member stands behind the row of its set, which counts them. Adding and removing cost the same
 * however many there are. A transaction asks for one member, or whether there is any; all of them are read in pages.
 */
import type { IndexDb, Reads, Transaction } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { endOf, pairKey, type SetTable } from './index-tables.ts'

export function addMember<T extends string>(
  tx: Transaction,
  table: SetTable<T>,
  key: string,
  member: T,
): void {
  const row = pairKey(key, member)
  if (tx.get(table, row) !== undefined) return
  tx.put(table, row, 1)
  tx.put(table, key, sizeOf(tx, table, key) + 1)
}

export function removeMember<T extends string>(
  tx: Transaction,
  table: SetTable<T>,
  key: string,
  member: T,
): void {
  const row = pairKey(key, member)
  if (tx.get(table, row) === undefined) return
  tx.delete(table, row)
  const left = sizeOf(tx, table, key) - 1
  if (left === 0) tx.delete(table, key)
  else tx.put(table, key, left)
}

export function hasMember<T extends string>(
  reads: Reads,
  table: SetTable<T>,
  key: string,
  member: T,
): boolean {
  return reads.get(table, pairKey(key, member)) !== undefined
}

export function sizeOf<T extends string>(reads: Reads, table: SetTable<T>, key: string): number {
  return reads.get(table, key) ?? 0
}

export interface MemberRange {
  /** Only members greater than this one. */
  readonly after?: string
  /** Only members smaller than this one, and itself. */
  readonly through?: string | undefined
  readonly limit: number
}

/** Members in their order. Those that come or go meanwhile may be there or not. @throws INDEX_REOPENING */
export async function membersIn<T extends string>(
  index: Pick<IndexDb, 'page'>,
  table: SetTable<T>,
  key: string,
  { after = '', through, limit }: MemberRange,
): Promise<readonly T[]> {
  // Behind a member its own end: \0 is smaller than all that a member may hold.
  const below = through === undefined ? endOf(key) : pairKey(pairKey(key, through), '')
  const rows = await index.page(table, { after: pairKey(key, after), below, limit })
  return rows.map(([row]) => memberOf<T>(row, key))
}

/** Rows read at a time: some 50 µs a page, and a millisecond of work at most. */
const PAGE = 128

/** All members in their order, page by page. @throws INDEX_REOPENING */
export async function* membersOf<T extends string>(
  index: Pick<IndexDb, 'page' | 'get'>,
  table: SetTable<T>,
  key: string,
  { after = '' }: { readonly after?: string } = {},
): AsyncGenerator<T> {
  // Most sets are empty: that costs one read.
  if (sizeOf(index, table, key) === 0) return
  const range = { after: pairKey(key, after), below: endOf(key), limit: PAGE }
  for await (const page of pagesOf(index, table, range)) {
    for (const [row] of page) yield memberOf<T>(row, key)
  }
}

function memberOf<T extends string>(row: string, key: string): T {
  return row.slice(key.length + 1) as T
}
