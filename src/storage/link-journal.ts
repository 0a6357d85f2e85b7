/**
 * The link journal: link files follow the index. A commit writes what they must become into the same durable batch;
 * this part carries it out in order and forgets it then. After a crash only what is left here is replayed.
 */

import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { type LinkChange, META, numberKey, PENDING } from './index-tables.ts'

/** What carries changes out: files in distribution's layout, or nothing where the store keeps no files. */
export interface LinkFiles {
  /** Durable when it resolves. Applying the same change twice is the same as once. */
  apply(changes: readonly LinkChange[]): Promise<void>
}

/** Disposing of it carries out what is left, unless that fails. */
export interface LinkJournal extends AsyncDisposable {
  write(tx: Transaction, path: string, digest: Digest): void
  remove(tx: Transaction, path: string): void
  /** Carries out at once what is left. Resolves when nothing is. */
  settled(): Promise<void>
}

/** Rows carried out between two index writes. */
const ROWS_AT_ONCE = 256
/**
 * Milliseconds for which changes are gathered before they are carried out together: one client that pushes waits for the
 * disk itself, not for its link files; many share the writes. Other programs see a change so much later.
 */
const GATHER_MS = 50
/** Wait after a failure (full disk), milliseconds: soon enough after space returns, rare enough for the log. */
const RETRY_MS = 5_000

export interface LinkJournalDeps {
  readonly index: IndexDb
  readonly files: LinkFiles
  readonly clock: Clock
  readonly logger: Logger
}

/** Starts with what an earlier run left. */
export function createLinkJournal({ index, files, clock, logger }: LinkJournalDeps): LinkJournal {
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let again = false
  /** Callers that wait for the end. */
  let hurrying = 0
  let gathering: AbortController | undefined

  function wake(): void {
    again = true
    running ??= drain().finally(() => {
      running = undefined
      if (again && !stop.signal.aborted) wake()
    })
  }

  async function drain(): Promise<void> {
    while (again) {
      again = false
      await gather()
      try {
        while (await carryOut()) {}
      } catch (err) {
        if (stop.signal.aborted) return
        logger.error({ err }, 'link files not written, will be tried again')
        again = true
        await clock.sleep(RETRY_MS, { signal: stop.signal }).catch(() => {})
        if (stop.signal.aborted) return
      }
    }
  }

  async function gather(): Promise<void> {
    if (hurrying > 0) return
    gathering = new AbortController()
    await clock.sleep(GATHER_MS, { signal: gathering.signal }).catch(() => {})
    gathering = undefined
  }

  async function settled(): Promise<void> {
    hurrying += 1
    gathering?.abort()
    while (running !== undefined) await running
    hurrying -= 1
  }

  /** @returns whether there may be more: what comes meanwhile wakes the journal again. */
  async function carryOut(): Promise<boolean> {
    const rows = await index.page(PENDING, { limit: ROWS_AT_ONCE })
    if (rows.length === 0) return false
    await files.apply(rows.flatMap(([, changes]) => changes))
    await index.transact((tx) => {
      for (const [key] of rows) tx.delete(PENDING, key)
    })
    return rows.length === ROWS_AT_ONCE
  }

  function note(tx: Transaction, change: LinkChange): void {
    const number = (tx.get(META, 'pending')?.last ?? 0) + 1
    tx.put(META, 'pending', { last: number })
    tx.put(PENDING, numberKey(number), [change])
    tx.afterCommit(wake)
  }

  wake()
  // Changes of a batch that failed, and turned out to be on disk.
  const forget = index.onReopened(wake)
  return {
    write: (tx, path, digest) => note(tx, { kind: 'write', path, digest }),
    remove: (tx, path) => note(tx, { kind: 'remove', path }),
    settled,
    [Symbol.asyncDispose]: async () => {
      forget()
      stop.abort()
      await settled()
    },
  }
}
