/**
 * The index: one LevelDB, opened here and nowhere else. Reads are synchronous and see what is committed; writes go
 * through `transact`, one after the other, and many that wait together become one durable batch (group commit).
 */
import type { AbstractBatchOperation, AbstractLevel } from 'abstract-level'
import { Level } from 'level'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'

export type IndexBackend = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>

/** A kind of row: keys are text, values are encoded by the table. All of them stand in `index-tables.ts`. */
export interface Table<V> {
  /** Prefix of the table's keys in the database: `[a-z]+`. */
  readonly name: string
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
   * @throws INDEX_WRITE_FAILED
   */
  transact<T>(work: (tx: Transaction) => T): Promise<T>
  /** Rows in key order. */
  page<V>(table: Table<V>, range: RowRange): Promise<readonly (readonly [string, V])[]>
}

/** Transactions in one batch: enough to share an fsync among many pushes, small enough to keep each one's wait short. */
const MAX_GROUP = 256

interface Waiting {
  readonly work: (tx: Transaction) => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

type Writes = Map<string, Uint8Array | null>

/** @throws DATA_IN_USE when another process has the directory open, INDEX_OPEN_FAILED otherwise. */
export async function openIndexDb(directory: string): Promise<IndexDb> {
  const level = new Level<string, Uint8Array>(directory, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
  })
  try {
    await level.open()
  } catch (err) {
    const cause = err instanceof Error ? err.cause : undefined
    if (codeOf(cause) === 'LEVEL_LOCKED') {
      const message = `the data directory is in use: another process has ${directory} open. Stop it, or use another --data`
      throw new EntrepotError('DATA_IN_USE', message, { cause: err, context: { directory } })
    }
    const message = `cannot open the index in ${directory}: ${messageOf(cause ?? err)}`
    throw new EntrepotError('INDEX_OPEN_FAILED', message, { cause: err, context: { directory } })
  }
  return createIndexDb(level)
}

/** An index over any backend that is open: the tests' in-memory one too. */
export function createIndexDb(backend: IndexBackend): IndexDb {
  const waiting: Waiting[] = []
  let draining: Promise<void> | undefined

  function transact<T>(work: (tx: Transaction) => T): Promise<T> {
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
    const writes: Writes = new Map()
    const done: (() => void)[] = []
    const failed: ((error: unknown) => void)[] = []
    for (const { work, resolve, reject } of group) {
      const own: Writes = new Map()
      const after: (() => void)[] = []
      try {
        const value = work(transactionOver(backend, [own, writes], after))
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
      const message = `the index could not be written: ${messageOf(err)}. Check disk space and permissions of the data directory`
      const error = new EntrepotError('INDEX_WRITE_FAILED', message, { cause: err })
      for (const reject of failed) reject(error)
      return
    }
    for (const finish of done) finish()
  }

  return {
    get: (table, key) => {
      const bytes = backend.getSync(keyOf(table, key))
      return bytes === undefined ? undefined : table.decode(bytes)
    },
    transact,
    page: async (table, { after = '', below, limit }) => {
      const lower = { [after === '' ? 'gte' : 'gt']: keyOf(table, after) }
      const upper = { lt: below === undefined ? `${table.name}0` : keyOf(table, below) }
      const rows = await backend.iterator({ ...lower, ...upper, limit }).all()
      return rows.map(([key, bytes]) => [key.slice(table.name.length + 1), table.decode(bytes)])
    },
    [Symbol.asyncDispose]: async () => {
      await draining
      await backend.close()
    },
  }
}

function transactionOver(
  backend: IndexBackend,
  layers: readonly [Writes, Writes],
  after: (() => void)[],
): Transaction {
  const [own] = layers
  return {
    get: (table, name) => {
      const key = keyOf(table, name)
      for (const layer of layers) {
        const bytes = layer.get(key)
        if (bytes === null) return undefined
        if (bytes !== undefined) return table.decode(bytes)
      }
      const bytes = backend.getSync(key)
      return bytes === undefined ? undefined : table.decode(bytes)
    },
    put: (table, name, value) => void own.set(keyOf(table, name), table.encode(value)),
    delete: (table, name) => void own.set(keyOf(table, name), null),
    afterCommit: (run) => void after.push(run),
  }
}

/** `/` ends the table's name, so that `<name>0` is the first key after the table. */
function keyOf(table: { readonly name: string }, key: string): string {
  return `${table.name}/${key}`
}

function toBatch(writes: Writes): AbstractBatchOperation<IndexBackend, string, Uint8Array>[] {
  return [...writes].map(([key, value]) =>
    value === null ? { type: 'del', key } : { type: 'put', key, value },
  )
}
