/** What the index remembers of deletes of other writers: those that wait for a person, that one let through, and that were applied. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { IndexDb, Table } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { CONFIRMED, endOf, HELD_UP, pairKey, secondOf, TAKEN } from './index-tables.ts'

export interface DeleteNotes {
  /** Since when deletes of the repository wait for a person, milliseconds since the Unix epoch; undefined: none does. */
  readonly heldUpSinceMs?: number
  /** By tag, the record id of the delete that a person let through. */
  readonly confirmed: ReadonlyMap<Tag, string>
  /** By tag, when the delete was due that was applied, milliseconds since the Unix epoch. */
  readonly taken: ReadonlyMap<Tag, number>
}

/** All of them are durable when their promise resolves. @throws INDEX_WRITE_FAILED, INDEX_REOPENING */
export interface DeleteRows {
  of(repository: RepositoryName): Promise<DeleteNotes>
  /** Repositories whose deletes wait for a person. */
  heldUp(): Promise<readonly RepositoryName[]>
  /** Before they are applied: what was taken and not noted would count for nothing. */
  take(repository: RepositoryName, dueAtMs: ReadonlyMap<Tag, number>): Promise<void>
  /** @returns false where they wait already */
  holdUp(repository: RepositoryName, sinceMs: number): Promise<boolean>
  /** A person lets these through, and the repository's deletes wait no more. */
  confirm(repository: RepositoryName, recordIds: ReadonlyMap<Tag, string>): Promise<void>
  /** Whatever of it there is. */
  forget(repository: RepositoryName, notes: ForgottenNotes): Promise<void>
}

export interface ForgottenNotes {
  readonly isHeldUp: boolean
  readonly confirmed: Iterable<Tag>
  readonly taken: Iterable<Tag>
}

/** Rows read at a time. */
const PAGE = 256
/** Rows written in one transaction: others wait meanwhile. */
const ROWS_AT_ONCE = 1_000

export function createDeleteRows({ index }: { readonly index: IndexDb }): DeleteRows {
  async function rowsOf<V>(table: Table<V>, repository: RepositoryName): Promise<Map<Tag, V>> {
    const rows = new Map<Tag, V>()
    const range = { after: pairKey(repository, ''), below: endOf(repository), limit: PAGE }
    for await (const page of pagesOf(index, table, range)) {
      for (const [key, value] of page) rows.set(secondOf(key) as Tag, value)
    }
    return rows
  }

  async function putAll<V>(
    table: Table<V>,
    repository: RepositoryName,
    rows: ReadonlyMap<Tag, V>,
  ): Promise<void> {
    const all = [...rows]
    for (let at = 0; at < all.length; at += ROWS_AT_ONCE) {
      await index.transact((tx) => {
        for (const [tag, value] of all.slice(at, at + ROWS_AT_ONCE))
          tx.put(table, pairKey(repository, tag), value)
      })
    }
  }

  async function deleteAll<V>(
    table: Table<V>,
    repository: RepositoryName,
    tags: readonly Tag[],
  ): Promise<void> {
    for (let at = 0; at < tags.length; at += ROWS_AT_ONCE) {
      await index.transact((tx) => {
        for (const tag of tags.slice(at, at + ROWS_AT_ONCE))
          tx.delete(table, pairKey(repository, tag))
      })
    }
  }

  return {
    of: async (repository) => {
      const heldUpSinceMs = index.get(HELD_UP, repository)?.sinceMs
      return {
        ...(heldUpSinceMs === undefined ? {} : { heldUpSinceMs }),
        confirmed: await rowsOf(CONFIRMED, repository),
        taken: await rowsOf(TAKEN, repository),
      }
    },
    heldUp: async () => {
      const names: RepositoryName[] = []
      for await (const page of pagesOf(index, HELD_UP, { limit: PAGE })) {
        names.push(...page.map(([name]) => name as RepositoryName))
      }
      return names
    },
    take: (repository, dueAtMs) => putAll(TAKEN, repository, dueAtMs),
    holdUp: (repository, sinceMs) =>
      index.transact((tx) => {
        if (tx.get(HELD_UP, repository) !== undefined) return false
        tx.put(HELD_UP, repository, { sinceMs })
        return true
      }),
    confirm: async (repository, recordIds) => {
      await putAll(CONFIRMED, repository, recordIds)
      await index.transact((tx) => tx.delete(HELD_UP, repository))
    },
    forget: async (repository, { isHeldUp, confirmed, taken }) => {
      if (isHeldUp) await index.transact((tx) => tx.delete(HELD_UP, repository))
      await deleteAll(CONFIRMED, repository, [...confirmed])
      await deleteAll(TAKEN, repository, [...taken])
    },
  }
}
