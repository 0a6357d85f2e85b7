import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createIndexDb, type Table } from '../../../src/storage/index-db.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'

const A: Table<string> = {
  name: 'a',
  encode: (text) => Buffer.from(text),
  decode: (bytes) => Buffer.from(bytes).toString(),
}

/** The longest wait between two probes, milliseconds, and more. */
const PROBED_MS = 6_000

/** An index on a disk that fails while it is told to, and that counts what reaches it. */
async function setUp() {
  const backend = await openMemoryBackend()
  const clock = createFakeClock()
  const disk = { isFull: false, opensFail: false, batches: 0, probes: 0, opened: 0 }
  const gate = Promise.withResolvers<void>()
  const state = { ...disk, opening: undefined as Promise<void> | undefined, letOpen: gate.resolve }
  const full = () => {
    if (state.isFull) throw new Error('No space left on device')
  }
  const watched = new Proxy(backend, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      const call = value.bind(target) as (...args: unknown[]) => Promise<void>
      if (property === 'batch') {
        return async (...args: unknown[]) => {
          state.batches += 1
          full()
          await call(...args)
        }
      }
      if (property !== 'open') return call
      return async () => {
        await state.opening
        if (state.opensFail) throw new Error('Input/output error')
        state.opened += 1
        await call()
      }
    },
  })
  const probe = async () => {
    state.probes += 1
    full()
  }
  const random = { bytes: () => new Uint8Array(), fraction: () => 1 }
  const index = createIndexDb(watched, { probe, clock, random, logger: silentLogger })
  return {
    index,
    state,
    clock,
    blockOpening: () => Object.assign(state, { opening: gate.promise }),
  }
}

type Rig = Awaited<ReturnType<typeof setUp>>

const write = ({ index }: Rig, key: string) => index.transact((tx) => tx.put(A, key, key))

/** One row is written, then the disk is full and one write has failed. */
async function fillDisk(rig: Rig): Promise<void> {
  await write(rig, 'before')
  rig.state.isFull = true
  await expect(write(rig, 'failed')).rejects.toMatchObject({ code: 'INDEX_WRITE_FAILED' })
}

test('after a failed write every other is refused before it reaches the database, and reads go on', async () => {
  const rig = await setUp()
  await fillDisk(rig)
  const { batches } = rig.state
  rig.state.isFull = false
  const outcomes = await Promise.allSettled([write(rig, 'x'), write(rig, 'y')])
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'INDEX_WRITE_FAILED' } })
  }
  expect(rig.state.batches).toBe(batches)
  expect(rig.index.get(A, 'before')).toBe('before')
  expect(await rig.index.page(A, { limit: 5 })).toEqual([['before', 'before']])
})

test('transactions that waited behind the failed batch are refused with it', async () => {
  const rig = await setUp()
  rig.state.isFull = true
  // More than one batch takes.
  const many = Array.from({ length: 300 }, (_, at) => write(rig, `key ${at}`))
  const outcomes = await Promise.allSettled(many)
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']))
  expect(rig.state.batches).toBe(1)
})

test('while the disk takes no probe the database is not closed, and probes come at most every 5 s', async () => {
  const rig = await setUp()
  await fillDisk(rig)
  await rig.clock.advance(60_000)
  expect(rig.state.opened).toBe(0)
  expect(rig.state.probes).toBeGreaterThan(10)
  expect(rig.state.probes).toBeLessThan(20)
  expect(rig.index.get(A, 'before')).toBe('before')
})

test('when the disk takes bytes again the database is opened anew, listeners hear of it, and writes work', async () => {
  const rig = await setUp()
  let reopened = 0
  rig.index.onReopened(() => {
    reopened += 1
  })
  await fillDisk(rig)
  rig.state.isFull = false
  await rig.clock.advance(PROBED_MS)
  await settle()
  expect([rig.state.opened, reopened]).toEqual([1, 1])
  await write(rig, 'after')
  expect(await rig.index.page(A, { limit: 5 })).toEqual([
    ['after', 'after'],
    ['before', 'before'],
  ])
})

test('reads during the reopening are refused with a code of their own, and writes as before', async () => {
  const rig = await setUp()
  await fillDisk(rig)
  rig.state.isFull = false
  rig.blockOpening()
  await rig.clock.advance(PROBED_MS)
  expect(() => rig.index.get(A, 'before')).toThrow(
    expect.objectContaining({ code: 'INDEX_REOPENING' }),
  )
  await expect(rig.index.page(A, { limit: 5 })).rejects.toMatchObject({ code: 'INDEX_REOPENING' })
  await expect(write(rig, 'x')).rejects.toMatchObject({ code: 'INDEX_WRITE_FAILED' })
  rig.state.letOpen()
  await settle()
  expect(rig.index.get(A, 'before')).toBe('before')
})

test('a database that could not be opened is opened later', async () => {
  const rig = await setUp()
  await fillDisk(rig)
  Object.assign(rig.state, { isFull: false, opensFail: true })
  await rig.clock.advance(60_000)
  expect(() => rig.index.get(A, 'before')).toThrow('opened again')
  rig.state.opensFail = false
  await rig.clock.advance(PROBED_MS)
  await settle()
  expect(rig.index.get(A, 'before')).toBe('before')
  await write(rig, 'after')
})

test('closing does not wait for a disk to have space again', async () => {
  const rig = await setUp()
  await fillDisk(rig)
  await rig.index[Symbol.asyncDispose]()
  expect(rig.clock.sleeping()).toBe(0)
})
