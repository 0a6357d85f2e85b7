/**
 * Small lists in one row: the parents of a child, which a transaction must be able to list. Sorted, so that equal content
 * gives equal rows. They are rewritten whole, so they suit hundreds of members; `index-sets.ts` has what may be more.
 */
import type { Table, Transaction } from './index-db.ts'

export function addTo<T extends string>(
  tx: Transaction,
  table: Table<readonly T[]>,
  key: string,
  member: T,
): void {
  const members = tx.get(table, key) ?? []
  if (!members.includes(member)) tx.put(table, key, [...members, member].sort())
}

export function removeFrom<T extends string>(
  tx: Transaction,
  table: Table<readonly T[]>,
  key: string,
  member: T,
): void {
  const members = (tx.get(table, key) ?? []).filter((other) => other !== member)
  if (members.length === 0) tx.delete(table, key)
  else tx.put(table, key, members)
}
