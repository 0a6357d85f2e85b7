import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createIndexDb, openIndexDb, type Table } from '../../../src/storage/index-db.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'

function textTable(name: string): Table<string> {
  return {
    name,
    encode: (text) => Buffer.from(text),
    decode: (bytes) => Buffer.from(bytes).toString(),
  }
}

const A = textTable('a')
const B = textTable('b')

/** A backend that counts its batches, and refuses them while it is told to. */
async function watchedBackend() {
  const backend = await openMemoryBackend()
  const batches: { readonly size: number; readonly sync: unknown }[] = []
  const state = { batches, failing: undefined as Error | undefined }
  const batch = backend.batch.bind(backend) as (...args: unknown[]) => Promise<void>
  const watched = new Proxy(backend, {
    get: (target, property) => {
      if (property === 'batch') {
        return async (...args: [readonly unknown[], { readonly sync?: boolean }?]) => {
          batches.push({ size: args[0].length, sync: args[1]?.sync })
          if (state.failing) throw state.failing
          return batch(...args)
        }
      }
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { index: createIndexDb(watched), state }
}

const CACHED: Table<string> = { ...textTable('cached'), isCached: true }

async function openIndex() {
  return createIndexDb(await openMemoryBackend())
}

describe('storage / index-db', () => {
  test('transactions that start together share one durable batch, and each gets its own result', async () => {
    const { index, state } = await watchedBackend()
    const results = await Promise.all(
      [1, 2, 3].map((at) =>
        index.transact((tx) => {
          tx.put(A, `key ${at}`, `value ${at}`)
          return at
        }),
      ),
    )
    expect(results).toEqual([1, 2, 3])
    expect(state.batches).toEqual([{ size: 3, sync: true }])
    expect(index.get(A, 'key 2')).toBe('value 2')
  })

  test('a transaction that writes nothing costs no batch', async () => {
    const { index, state } = await watchedBackend()
    expect(await index.transact((tx) => tx.get(A, 'x'))).toBeUndefined()
    expect(state.batches).toEqual([])
  })

  test('a transaction reads what earlier ones of its group and it itself wrote and deleted', async () => {
    const index = await openIndex()
    await index.transact((tx) => tx.put(A, 'old', '0'))
    const reads = await Promise.all([
      index.transact((tx) => {
        tx.put(A, 'x', '1')
        tx.delete(A, 'old')
        return [tx.get(A, 'x'), tx.get(A, 'old')]
      }),
      index.transact((tx) => {
        const found = [tx.get(A, 'x'), tx.get(A, 'old')]
        tx.put(A, 'x', '2')
        tx.delete(A, 'x')
        return [...found, tx.get(A, 'x')]
      }),
      index.transact((tx) => [tx.get(A, 'x'), tx.get(B, 'x')]),
    ])
    expect(reads).toEqual([
      ['1', undefined],
      ['1', undefined, undefined],
      [undefined, undefined],
    ])
    expect(index.get(A, 'x')).toBeUndefined()
  })

  test('readers outside see nothing of a transaction before its batch is durable', async () => {
    const index = await openIndex()
    const commit = index.transact((tx) => tx.put(A, 'x', '1'))
    expect(index.get(A, 'x')).toBeUndefined()
    await commit
    expect(index.get(A, 'x')).toBe('1')
  })

  test('a transaction that throws leaves no trace, and its neighbours commit', async () => {
    const { index, state } = await watchedBackend()
    const ran: string[] = []
    const outcomes = await Promise.allSettled([
      index.transact((tx) => tx.put(A, 'before', '1')),
      index.transact((tx) => {
        tx.put(A, 'before', 'spoilt')
        tx.put(A, 'own', '1')
        tx.afterCommit(() => ran.push('thrown'))
        throw new Error('changed its mind')
      }),
      index.transact((tx) => {
        tx.afterCommit(() => ran.push('after'))
        return [tx.get(A, 'before'), tx.get(A, 'own')]
      }),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[2]).toMatchObject({ value: ['1', undefined] })
    expect(ran).toEqual(['after'])
    expect(state.batches).toEqual([{ size: 1, sync: true }])
  })

  test('a batch that fails rejects every transaction of its group, changes nothing, and the next one works', async () => {
    const { index, state } = await watchedBackend()
    const ran: string[] = []
    state.failing = new Error('no space left on device')
    const write = (key: string) =>
      index.transact((tx) => {
        tx.put(A, key, '1')
        tx.afterCommit(() => ran.push(key))
      })
    const outcomes = await Promise.allSettled([write('x'), write('y')])
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'INDEX_WRITE_FAILED', cause: state.failing },
      })
    }
    expect([index.get(A, 'x'), index.get(A, 'y'), ran]).toEqual([undefined, undefined, []])
    state.failing = undefined
    await write('z')
    expect([index.get(A, 'x'), index.get(A, 'z'), ran]).toEqual([undefined, '1', ['z']])
  })

  test('what runs after the commit runs in order, sees the commit, and before the caller goes on', async () => {
    const index = await openIndex()
    const order: string[] = []
    const write = async (name: string) => {
      await index.transact((tx) => {
        tx.put(A, name, name)
        tx.afterCommit(() => order.push(`${name} 1 ${index.get(A, name)}`))
        tx.afterCommit(() => order.push(`${name} 2`))
      })
      order.push(`${name} done`)
    }
    await Promise.all([write('x'), write('y')])
    expect(order.filter((line) => !line.endsWith('done'))).toEqual(['x 1 x', 'x 2', 'y 1 y', 'y 2'])
    expect(order.indexOf('x done')).toBeGreaterThan(order.indexOf('x 2'))
  })

  test('a transaction that is started by the end of another one commits too', async () => {
    const index = await openIndex()
    const inner = Promise.withResolvers<void>()
    await index.transact((tx) => {
      tx.put(A, 'x', '1')
      tx.afterCommit(() => {
        index.transact((next) => next.put(A, 'y', '1')).then(inner.resolve, inner.reject)
      })
    })
    await inner.promise
    await index.transact((tx) => tx.put(A, 'z', '1'))
    expect([index.get(A, 'y'), index.get(A, 'z')]).toEqual(['1', '1'])
  })

  test('pages begin after and end below the bounds given, and never leave the table', async () => {
    const index = await openIndex()
    await index.transact((tx) => {
      for (const key of ['1', '2', '2\0x', '3']) tx.put(B, key, key)
      for (const table of [A, textTable('ba'), textTable('c')]) tx.put(table, '2', 'foreign')
    })
    const keys = async (range: Parameters<typeof index.page>[1]) =>
      (await index.page(B, range)).map(([key]) => key)
    expect(await keys({ limit: 10 })).toEqual(['1', '2', '2\0x', '3'])
    expect(await keys({ limit: 2 })).toEqual(['1', '2'])
    expect(await keys({ after: '2', limit: 10 })).toEqual(['2\0x', '3'])
    expect(await keys({ after: '1', below: '3', limit: 10 })).toEqual(['2', '2\0x'])
    expect(await keys({ after: '3', limit: 10 })).toEqual([])
    expect(await keys({ after: '3', below: '2', limit: 10 })).toEqual([])
    expect(await keys({ limit: 0 })).toEqual([])
  })

  test('a reader that pages through sees every row once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 5 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 7 }),
        async (keys, limit) => {
          // Lone surrogates are no text: no name of ours contains one.
          const wellFormed = keys.filter((key) => key.isWellFormed())
          const index = await openIndex()
          await index.transact((tx) => {
            for (const key of wellFormed) tx.put(A, key, key)
          })
          const seen: string[] = []
          for (let after = ''; ; ) {
            const page = await index.page(A, { after, limit })
            const last = page.at(-1)
            if (last === undefined) break
            seen.push(...page.map(([key]) => key))
            after = last[0]
          }
          const inOrder = wellFormed.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
          expect(seen).toEqual(inOrder)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('closing waits for the transactions that were started', async () => {
    const backend = await openMemoryBackend()
    const index = createIndexDb(backend)
    const commit = index.transact((tx) => tx.put(A, 'x', '1'))
    await index[Symbol.asyncDispose]()
    await commit
    await backend.open()
    expect(createIndexDb(backend).get(A, 'x')).toBe('1')
  })
})

describe('storage / index-db on disk', () => {
  test('what was committed is there after the directory is opened again; while it is open nobody else can', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-index-'))
    try {
      const path = join(directory, 'index')
      const first = await openIndexDb(path)
      await first.transact((tx) => tx.put(A, 'x', '1'))
      await expect(openIndexDb(path)).rejects.toMatchObject({
        code: 'DATA_IN_USE',
        message: expect.stringContaining(path) as string,
      })
      await first[Symbol.asyncDispose]()
      await using second = await openIndexDb(path)
      expect(second.get(A, 'x')).toBe('1')
      expect(await second.page(A, { limit: 5 })).toEqual([['x', '1']])
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test('a directory that cannot be opened says which and why', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-index-'))
    try {
      await mkdir(join(directory, 'broken'))
      await writeFile(join(directory, 'broken', 'CURRENT'), 'no such manifest\n')
      await expect(openIndexDb(join(directory, 'broken'))).rejects.toMatchObject({
        code: 'INDEX_OPEN_FAILED',
        message: expect.stringContaining('broken') as string,
      })
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test('a cached row is read once, and anew after it was written or deleted', async () => {
    const backend = await openMemoryBackend()
    let reads = 0
    const counting = new Proxy(backend, {
      get: (target, property) => {
        if (property === 'getSync') reads += 1
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
    const index = createIndexDb(counting)
    await index.transact((tx) => tx.put(CACHED, 'key', 'one'))
    expect([index.get(CACHED, 'key'), index.get(CACHED, 'key')]).toEqual(['one', 'one'])
    expect(reads).toBe(1)
    const writing = index.transact((tx) => tx.put(CACHED, 'key', 'two'))
    // Read while the batch is on its way: whichever it is, it is not kept.
    await Promise.resolve()
    index.get(CACHED, 'key')
    await writing
    expect(index.get(CACHED, 'key')).toBe('two')
    await index.transact((tx) => tx.delete(CACHED, 'key'))
    expect(index.get(CACHED, 'key')).toBeUndefined()
  })

  test('a transaction does not read from the cache, and what failed is not in it', async () => {
    const { index, state } = await watchedBackend()
    await index.transact((tx) => tx.put(CACHED, 'key', 'one'))
    expect(index.get(CACHED, 'key')).toBe('one')
    state.failing = new Error('No space left on device')
    await expect(index.transact((tx) => tx.put(CACHED, 'key', 'two'))).rejects.toThrow()
    state.failing = undefined
    expect(index.get(CACHED, 'key')).toBe('one')
    const seen = await index.transact((tx) => {
      tx.put(CACHED, 'key', 'three')
      return tx.get(CACHED, 'key')
    })
    expect(seen).toBe('three')
  })
})
