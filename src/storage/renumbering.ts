/**
 * Renumbering: a tag that comes to show a manifest makes the records about it worth sending to others, so their entries get
 * new numbers in the feed. A manifest may have any number of them, so it is noted in the commit of the tag, and done after it.
 */
import { EntrepotError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'
import { parseKeyText, type RecordKey } from '../record/tag-record.ts'
import type { IndexDb, Reads, Transaction } from './index-db.ts'
import { membersIn, sizeOf } from './index-sets.ts'
import { MANIFEST, pairKey, REFERRER, RENUMBER, type RenumberRow } from './index-tables.ts'

export interface Renumbering extends AsyncDisposable {
  /** Inside a transaction: the entries of records about this manifest, its children, and those records get new numbers soon. */
  request(tx: Transaction, repository: RepositoryName, digest: Digest): void
  /** Resolves when nothing is left to number anew, or the index takes no writes. */
  settled(): Promise<void>
}

export interface RenumberingDeps {
  readonly index: IndexDb
  readonly logger: Logger
  /** Inside a transaction: the entry of the key gets a new number, if there is one. @returns the digest that it shows */
  readonly renumber: (tx: Transaction, key: RecordKey) => Digest | undefined
}

/** Entries numbered anew in one transaction: some 5 ms, in which nothing else happens. */
const ENTRIES_AT_ONCE = 64
/** Signatures of signatures: deeper chains are not followed. */
const MAX_DEPTH = 4

/** Starts with what an earlier run left. */
export function createRenumbering({ index, logger, renumber }: RenumberingDeps): Renumbering {
  let running: Promise<void> | undefined
  let again = false
  let isStopped = false
  /** Rows have their turns one after the other: one that is asked for all the time does not keep the others from theirs. */
  let previous = ''

  function wake(): void {
    again = true
    running ??= drain().finally(() => {
      running = undefined
    })
  }

  async function drain(): Promise<void> {
    while (again && !isStopped) {
      again = false
      try {
        while (!isStopped && (await step())) {}
      } catch (err) {
        if (isStopped) return
        // What is noted stays: it is gone on with when the index is written again, and at the next start.
        if (!(err instanceof EntrepotError)) logger.error({ err }, 'referrers not numbered anew')
        return
      }
    }
  }

  /** One page of one row. @returns false when there is no row */
  async function step(): Promise<boolean> {
    const [next] = await index.page(RENUMBER, { after: previous, limit: 1 })
    const [first] = next === undefined ? await index.page(RENUMBER, { limit: 1 }) : [next]
    if (first === undefined) return false
    const [key, row] = first
    previous = key
    const { after, through } = row
    const range = { after, through: row.isSecondRound ? through : undefined }
    const page = await membersIn(index, REFERRER, key, { ...range, limit: ENTRIES_AT_ONCE })
    await index.transact((tx) => {
      const now = tx.get(RENUMBER, key)
      if (now?.after !== after) return
      // A tag may have moved since, and asked for more: then it is not known where this round ends.
      const isEnd = page.length < ENTRIES_AT_ONCE && now.isSecondRound === row.isSecondRound
      advance(tx, key, now, { page, isEnd })
    })
    return true
  }

  function advance(
    tx: Transaction,
    key: string,
    row: RenumberRow,
    { page, isEnd }: { readonly page: readonly Reference[]; readonly isEnd: boolean },
  ): void {
    const { repository, reference } = parseKeyText(key)
    const next = row.depth + 1
    for (const one of page) {
      const shown = renumber(tx, { repository, reference: one })
      if (shown !== undefined) note(tx, repository, shown, next)
    }
    if (!isEnd) {
      tx.put(RENUMBER, key, { ...row, after: page.at(-1) ?? row.after })
      return
    }
    if (row.through !== undefined && row.isSecondRound !== true) {
      tx.put(RENUMBER, key, { ...row, after: '', isSecondRound: true })
      return
    }
    tx.delete(RENUMBER, key)
    for (const child of tx.get(MANIFEST, pairKey(repository, reference as Digest))?.manifests ??
      []) {
      note(tx, repository, child, next)
    }
  }

  /** One row for a manifest, however often it is asked for: it goes once round from where it is. */
  function note(tx: Transaction, repository: RepositoryName, digest: Digest, depth: number): void {
    if (depth > MAX_DEPTH) return
    const key = pairKey(repository, digest)
    if (!hasReferrers(tx, key)) return
    const row = tx.get(RENUMBER, key)
    const after = row?.after ?? ''
    const least = Math.min(row?.depth ?? depth, depth)
    tx.put(RENUMBER, key, { depth: least, after, ...(after === '' ? {} : { through: after }) })
  }

  wake()
  const forget = index.onReopened(wake)
  return {
    request: (tx, repository, digest) => {
      note(tx, repository, digest, 0)
      if (tx.get(RENUMBER, pairKey(repository, digest)) !== undefined) tx.afterCommit(wake)
    },
    settled: async () => {
      while (running !== undefined) await running
    },
    [Symbol.asyncDispose]: async () => {
      forget()
      isStopped = true
      await running
    },
  }
}

/** Records about it, or children that may have some. */
function hasReferrers(reads: Reads, key: string): boolean {
  if (sizeOf(reads, REFERRER, key) > 0) return true
  return (reads.get(MANIFEST, key)?.manifests.length ?? 0) > 0
}
