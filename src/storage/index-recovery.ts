/**
 * What follows a write of the index that failed: no other write until the disk takes bytes again and the database was
 * opened anew. LevelDB itself writes on behind a torn record of its log, and loses all of that at the next opening.
 */
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'

/** The database, as far as recovery knows it. */
export interface Reopenable {
  /** Does nothing where it is closed. */
  close(): Promise<void>
  open(): Promise<void>
}

export interface RecoveryDeps {
  /** Resolves when the disk takes what opening needs. A database that cannot be opened cannot be read either. */
  readonly probe: () => Promise<void>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface IndexRecovery extends AsyncDisposable {
  /** INDEX_WRITE_FAILED: why nothing can be written now. */
  readonly failure: EntrepotError | undefined
  /** @throws INDEX_REOPENING while there is no open database to read. */
  refuseReads(): void
  /** A write failed: from now on writes are refused. @returns what they are told */
  begin(cause: unknown): EntrepotError
  onReopened(listener: () => void): () => void
}

/** Of the probe: soon enough after space returns, rare enough for a disk that is full for a weekend. */
const RETRY = { firstMs: 500, capMs: 5_000 }

export function createIndexRecovery(database: Reopenable, deps: RecoveryDeps): IndexRecovery {
  const { probe, clock, random, logger } = deps
  const stop = new AbortController()
  const listeners = new Set<() => void>()
  let failure: EntrepotError | undefined
  let isClosed = false
  let running: Promise<void> | undefined

  async function recover(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await clock.sleep(backoffMs(attempt, RETRY, random), { signal: stop.signal }).catch(() => {})
      if (stop.signal.aborted) return
      try {
        await probe()
        isClosed = true
        await database.close()
        await database.open()
        break
      } catch (err) {
        logger.debug({ err, attempt, isClosed }, 'index still not writable')
      }
    }
    isClosed = false
    failure = undefined
    logger.info({}, 'index is written again')
    for (const listener of listeners) listener()
  }

  return {
    get failure() {
      return failure
    },
    refuseReads: () => {
      if (!isClosed) return
      const message = 'the index is being opened again after a failed write; ask again in a moment'
      throw new EntrepotError('INDEX_REOPENING', message, { cause: failure })
    },
    begin: (cause) => {
      failure = writeFailed(cause)
      logger.error({ err: failure }, 'index is not written until the disk takes it again')
      running = recover()
      return failure
    },
    onReopened: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}

/** What the failed write and all after it are told. Whether the failed one is on disk is known after the reopening. */
export function writeFailed(cause: unknown): EntrepotError {
  const message = `the index could not be written: ${messageOf(cause)}. Free space, or make the data directory writable; it is tried again by itself`
  return new EntrepotError('INDEX_WRITE_FAILED', message, { cause })
}
