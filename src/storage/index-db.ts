/**
 * The index: one LevelDB, opened here and nowhere else. Reads are synchronous and see what is committed; writes go
 * through `transact`, one after the other, and many that wait together become one durable batch (group commit).
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbstractBatchOperation, AbstractLevel } from 'abstract-level'
import { Level } from 'level'
import { systemClock } from '../lib/clock.ts'
import { probeDisk } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import { silentLogger } from '../lib/logger.ts'
import { systemRandom } from '../lib/random.ts'
import { isDiskFull, openFailed } from './index-open-error.ts'
import { keyOf, transactionOver, type Writes } from './index-overlay.ts'
import { createIndexRecovery, type RecoveryDeps, writeFailed } from './index-recovery.ts'
import type { Reserve } from './reserve.ts'
import { createRowCache } from './row-cache.ts'

export type IndexBackend = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>

/** A kind of row: keys are text, values are encoded by the table. All of them stand in `index-tables.ts`. */
export interface Table<V> {
  /** Prefix of the table's keys in the database: `[a-z]+`. */
  readonly name: string
  /** Rows stay in memory, decoded, when they are read: nobody may change what `get` gives. */
  readonly isCached?: true
  encode(value: V): Uint8Array
  decode(bytes: Uint8Array): V
}

export interface RowRange {
  /** Only keys greater than this one. */
  readonly after?: string
  /** Only keys smaller than this one. */
  readonly below?: string
  readonly limit: number
}

export interface Reads {
  /** @throws INDEX_REOPENING for a moment after a failed write. */
  get<V>(table: Table<V>, key: string): V | undefined
}

export interface Transaction extends Reads {
  put<V>(table: Table<V>, key: string, value: V): void
  delete<V>(table: Table<V>, key: string): void
  /** Runs after the batch is durable, in order; not at all when it fails. */
  afterCommit(run: () => void): void
}

export interface IndexDb extends Reads, AsyncDisposable {
  /**
   * Runs `work` alone: it reads all earlier transactions and either all its writes become durable or none.
   * `work` must be synchronous. What it throws rejects this promise and leaves no trace.
   * @throws INDEX_WRITE_FAILED, also at once while the index recovers from a write that failed before
   */
  transact<T>(work: (tx: Transaction) => T): Promise<T>
  /** Rows in key order. @throws INDEX_REOPENING */
  page<V>(table: Table<V>, range: RowRange): Promise<readonly (readonly [string, V])[]>
  /**
   * Called when writes are taken again after one that failed: what was refused may be tried again, and the failed batch
   * itself may turn out to be on disk. @returns unsubscribe.
   */
  onReopened(listener: () => void): () => void
}

/** Transactions in one batch: enough to share an fsync among many pushes, small enough to keep each one's wait short. */
const MAX_GROUP = 256

interface Waiting {
  readonly work: (tx: Transaction) => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

interface KeyRange {
  readonly gt?: string
  readonly gte?: string
  readonly lt: string
  readonly limit: number
}

/**
 * Tables of 2 MiB that LevelDB keeps open, less ten. It maps each into memory, so after a look at everything as many stay resident, 236
 * MiB at most (clean pages, which the system takes back when it is short). A table that is not open costs a read some 40 µs.
 */
const MAX_OPEN_FILES = 128

/** Bytes that opening may write: two logs of 4 MiB (LevelDB's write buffer) become tables, and a new manifest. */
const PROBE_BYTES = 10 * 1024 * 1024

export interface IndexDeps extends Omit<RecoveryDeps, 'probe'> {
  /** Space that is given up when there is no other. */
  readonly reserve?: Pick<Reserve, 'giveUp'>
}

const SYSTEM: IndexDeps = { clock: systemClock, random: systemRandom, logger: silentLogger }

/** @throws DATA_IN_USE when another process has the directory open, INDEX_OPEN_FAILED otherwise. */
export async function openIndexDb(
  directory: string,
  { reserve, ...deps }: IndexDeps = SYSTEM,
): Promise<IndexDb> {
  const level = new Level<string, Uint8Array>(directory, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    maxOpenFiles: MAX_OPEN_FILES,
  })
  // LevelDB leaves names alone that are not its own. Inside: the index may have a file system to itself.
  const probe = join(directory, 'probe')
  try {
    await level.open().catch(async (err: unknown) => {
      if (!isDiskFull(err) || (await reserve?.giveUp()) !== true) throw err
      await level.open()
    })
    // Of a process that was killed while it recovered. The lock is held: nobody else probes.
    await rm(probe, { force: true })
  } catch (err) {
    throw openFailed(directory, err)
  }
  return createIndexDb(level, {
    ...deps,
    probe: async () => {
      try {
        await probeDisk(probe, PROBE_BYTES)
      } catch (err) {
        if (codeOf(err) !== 'ENOSPC' || (await reserve?.giveUp()) !== true) throw err
        await probeDisk(probe, PROBE_BYTES)
      }
    },
  })
}

/**
 * An index over any backend that is open: the tests' in-memory one too. Without `deps` a batch that failed is taken to
 * leave nothing behind, and the next one is tried as if nothing were.
 */
export function createIndexDb(backend: IndexBackend, deps?: RecoveryDeps): IndexDb {
  const recovery = deps && createIndexRecovery(backend, deps)
  const rows = createRowCache()
  // What failed may be on disk after all.
  recovery?.onReopened(() => rows.clear())
  const waiting: Waiting[] = []
  let draining: Promise<void> | undefined

  function transact<T>(work: (tx: Transaction) => T): Promise<T> {
    if (recovery?.failure !== undefined) return Promise.reject(recovery.failure)
    return new Promise<T>((resolve, reject) => {
      waiting.push({ work, resolve, reject })
      draining ??= drain()
    })
  }

  async function drain(): Promise<void> {
    // Yield once, so that transactions started in the same turn share the first batch.
    await Promise.resolve()
    while (waiting.length > 0) await commit(waiting.splice(0, MAX_GROUP))
    // In the same turn as the last look at the queue: a later transaction starts a new drain.
    draining = undefined
  }

  async function commit(group: readonly Waiting[]): Promise<void> {
    const failure = recovery?.failure
    if (failure !== undefined) {
      for (const { reject } of group) reject(failure)
      return
    }
    const writes: Writes = new Map()
    const done: (() => void)[] = []
    const failed: ((error: unknown) => void)[] = []
    for (const { work, resolve, reject } of group) {
      const own: Writes = new Map()
      const after: (() => void)[] = []
      try {
        const value = work(transactionOver((key) => backend.getSync(key), [own, writes], after))
        for (const [key, bytes] of own) writes.set(key, bytes)
        done.push(() => {
          resolve(value as never)
          for (const run of after) run()
        })
        failed.push(reject)
      } catch (err) {
        reject(err)
      }
    }
    try {
      if (writes.size > 0) await backend.batch(toBatch(writes), { sync: true } as object)
    } catch (err) {
      rows.clear()
      const error = recovery?.begin(err) ?? writeFailed(err)
      for (const reject of failed) reject(error)
      return
    }
    // A row that was read while the batch was on its way may be the old one.
    rows.forget(writes.keys())
    for (const finish of done) finish()
  }

  async function rowsIn(range: KeyRange): Promise<[string, Uint8Array][]> {
    recovery?.refuseReads()
    try {
      return await backend.iterator(range).all()
    } catch (err) {
      // An iterator that the reopening closed.
      recovery?.refuseReads()
      throw err
    }
  }

  return {
    get: (table, key) => {
      recovery?.refuseReads()
      const full = keyOf(table, key)
      const read = () => backend.getSync(full)
      if (table.isCached) return rows.get(full, read, table.decode)
      const bytes = read()
      return bytes === undefined ? undefined : table.decode(bytes)
    },
    transact,
    page: async (table, { after = '', below, limit }) => {
      const lower = { [after === '' ? 'gte' : 'gt']: keyOf(table, after) }
      const upper = { lt: below === undefined ? `${table.name}0` : keyOf(table, below) }
      const rows = await rowsIn({ ...lower, ...upper, limit })
      return rows.map(([key, bytes]) => [key.slice(table.name.length + 1), table.decode(bytes)])
    },
    onReopened: (listener) => recovery?.onReopened(listener) ?? (() => {}),
    [Symbol.asyncDispose]: async () => {
      await draining
      await recovery?.[Symbol.asyncDispose]()
      await backend.close()
    },
  }
}

function toBatch(writes: Writes): AbstractBatchOperation<IndexBackend, string, Uint8Array>[] {
  return [...writes].map(([key, value]) =>
    value === null ? { type: 'del', key } : { type: 'put', key, value },
  )
}
