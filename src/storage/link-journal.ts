/**
 * The link journal: link files follow the index. A commit writes what they must become into the same durable batch; this
 * part carries it out in order, makes it durable some time after, and forgets it then. After a crash what is left here is
 * carried out again.
 */
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createNap } from '../lib/nap.ts'
import type { Digest } from '../oci/digest.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { type LinkChange, META, numberKey, PENDING } from './index-tables.ts'

/** What carries changes out: files in distribution's layout, or nothing where the store keeps no files. */
export interface LinkFiles {
  /** Other programs see them when it resolves. Applying changes again, all that followed included, changes nothing. */
  apply(changes: readonly LinkChange[]): Promise<void>
  /** What was applied survives a power cut when it resolves. */
  makeDurable(changes: readonly LinkChange[]): Promise<void>
}

/** Of a store that keeps no files. */
export const NO_LINK_FILES: LinkFiles = { apply: async () => {}, makeDurable: async () => {} }

/** Disposing of it carries out what is left, unless that fails. */
export interface LinkJournal extends AsyncDisposable {
  write(tx: Transaction, path: string, digest: Digest): void
  remove(tx: Transaction, path: string): void
  /** Carries out at once what is left, and makes it durable. Resolves when nothing is left. */
  settled(): Promise<void>
}

/** Rows carried out, or forgotten, together. */
const ROWS_AT_ONCE = 256
/**
 * Milliseconds for which changes are gathered before they are carried out together: one client that pushes waits for the
 * disk itself, not for its link files; many share the writes. Other programs see a change so much later.
 */
const GATHER_MS = 50
/**
 * Milliseconds until what was carried out is made durable: by then the kernel has written it by itself (it does so within 30 s), and
 * many changes share what is left to do. Nobody waits: until then the row stays, and a start after a power cut carries it out again.
 */
const DURABLE_MS = 35_000
/** Rows carried out and not yet durable, at most: a start carries them out again within a second. */
const MAX_CARRIED = 4_096
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
  /** The time of what was carried out is over. */
  let isDue = false
  const gathering = createNap({ clock })
  /** Key of the last row that was carried out, and how many of them are not forgotten yet. */
  let carried = ''
  let count = 0
  let timer: AbortController | undefined

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
      if (hurrying === 0) await gathering.take(GATHER_MS)
      try {
        while (await carryOut()) {}
        if (isDue || hurrying > 0 || count >= MAX_CARRIED) await forgetCarried()
      } catch (err) {
        if (stop.signal.aborted) return
        logger.error({ err }, 'link files not written, will be tried again')
        again = true
        await clock.sleep(RETRY_MS, { signal: stop.signal }).catch(() => {})
        if (stop.signal.aborted) return
      }
    }
  }

  async function settled(): Promise<void> {
    hurrying += 1
    gathering.wake()
    wake()
    while (running !== undefined) await running
    hurrying -= 1
  }

  /** @returns whether there may be more: what comes meanwhile wakes the journal again. */
  async function carryOut(): Promise<boolean> {
    const rows = await index.page(PENDING, { after: carried, limit: ROWS_AT_ONCE })
    const [last] = rows.at(-1) ?? []
    if (last === undefined) return false
    await files.apply(rows.flatMap(([, changes]) => changes))
    if (timer === undefined) setTimer()
    carried = last
    count += rows.length
    return rows.length === ROWS_AT_ONCE
  }

  function setTimer(): void {
    timer = new AbortController()
    const { signal } = timer
    clock.sleep(DURABLE_MS, { signal }).then(
      () => {
        isDue = true
        wake()
      },
      () => {},
    )
  }

  async function forgetCarried(): Promise<void> {
    timer?.abort()
    timer = undefined
    while (count > 0) {
      const rows = await index.page(PENDING, { below: `${carried}\0`, limit: ROWS_AT_ONCE })
      await files.makeDurable(rows.flatMap(([, changes]) => changes))
      await index.transact((tx) => {
        for (const [key] of rows) tx.delete(PENDING, key)
      })
      count = rows.length === ROWS_AT_ONCE ? count : 0
    }
    isDue = false
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
      timer?.abort()
    },
  }
}
