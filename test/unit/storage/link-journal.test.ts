import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { type LinkChange, PENDING } from '../../../src/storage/index-tables.ts'
import { createLinkJournal, type LinkFiles } from '../../../src/storage/link-journal.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'
import { digestNamed } from '../../helpers/writers.ts'

/** Link files that note what they are told, fail while told to, and can be held up. */
function createFiles() {
  const applied: string[] = []
  const durable: string[] = []
  const state = { isFailing: false, gate: undefined as Promise<void> | undefined, tries: 0 }
  const files: LinkFiles = {
    apply: async (changes: readonly LinkChange[]) => {
      state.tries += 1
      await state.gate
      if (state.isFailing) throw new Error('no space left on device')
      applied.push(...changes.map(({ kind, path }) => `${kind} ${path}`))
    },
    makeDurable: async (changes) => {
      if (state.isFailing) throw new Error('no space left on device')
      durable.push(...changes.map(({ kind, path }) => `${kind} ${path}`))
    },
  }
  return { files, applied, durable, state }
}

async function setUp(
  backend = undefined as Awaited<ReturnType<typeof openMemoryBackend>> | undefined,
) {
  const over = backend ?? (await openMemoryBackend())
  const index = createIndexDb(over)
  const clock = createFakeClock()
  const parts = createFiles()
  const open = () => createLinkJournal({ index, files: parts.files, clock, logger: silentLogger })
  return { backend: over, index, clock, open, ...parts }
}

const DIGEST = digestNamed('x')

describe('storage / link-journal', () => {
  test('changes are carried out in the order of their commits, and forgotten then', async () => {
    const { index, open, applied } = await setUp()
    const journal = open()
    await Promise.all([
      index.transact((tx) => {
        journal.write(tx, 'a', DIGEST)
        journal.remove(tx, 'b')
      }),
      index.transact((tx) => journal.write(tx, 'b', DIGEST)),
    ])
    await journal.settled()
    expect(applied).toEqual(['write a', 'remove b', 'write b'])
    expect(await index.page(PENDING, { limit: 10 })).toEqual([])
  })

  test('a transaction that throws changes no file', async () => {
    const { index, open, applied } = await setUp()
    const journal = open()
    await expect(
      index.transact((tx) => {
        journal.write(tx, 'a', DIGEST)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    await journal.settled()
    expect(applied).toEqual([])
  })

  test('changes that came while others were carried out are not forgotten', async () => {
    const { index, open, applied, state, clock } = await setUp()
    const journal = open()
    const gate = Promise.withResolvers<void>()
    state.gate = gate.promise
    await index.transact((tx) => journal.write(tx, 'first', DIGEST))
    await clock.advance(50)
    await index.transact((tx) => journal.write(tx, 'second', DIGEST))
    gate.resolve()
    await journal.settled()
    expect(applied).toEqual(['write first', 'write second'])
  })

  test('changes are gathered for 50 ms and carried out together, also what comes while others are', async () => {
    const { index, open, applied, state, clock } = await setUp()
    const journal = open()
    await journal.settled()
    const write = (path: string) => index.transact((tx) => journal.write(tx, path, DIGEST))
    await write('a')
    await clock.advance(30)
    await write('b')
    await clock.advance(19)
    expect(applied).toEqual([])
    const gate = Promise.withResolvers<void>()
    state.gate = gate.promise
    await clock.advance(1)
    await write('c')
    gate.resolve()
    await settle()
    await write('d')
    expect(applied).toEqual(['write a', 'write b'])
    await clock.advance(50)
    expect([state.tries, applied.slice(2)]).toEqual([2, ['write c', 'write d']])
  })

  test('what was carried out is made durable and forgotten 35 s later, together, and not before', async () => {
    const { index, open, applied, durable, clock } = await setUp()
    const journal = open()
    await journal.settled()
    const write = (path: string) => index.transact((tx) => journal.write(tx, path, DIGEST))
    await write('a')
    await clock.advance(1_000)
    await write('b')
    await clock.advance(33_000)
    expect([applied, durable]).toEqual([['write a', 'write b'], []])
    expect(await index.page(PENDING, { limit: 10 })).toHaveLength(2)
    await clock.advance(2_000)
    await settle()
    expect([applied, durable]).toEqual([
      ['write a', 'write b'],
      ['write a', 'write b'],
    ])
    expect(await index.page(PENDING, { limit: 10 })).toEqual([])
    expect(clock.sleeping()).toBe(0)
  })

  test('what was carried out and is not durable yet is carried out again at the next start, in order', async () => {
    const before = await setUp()
    const journal = before.open()
    await before.index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await before.clock.advance(50)
    await before.index.transact((tx) => journal.remove(tx, 'a'))
    await before.clock.advance(50)
    expect(before.applied).toEqual(['write a', 'remove a'])
    // The power is cut here.
    const after = await setUp(before.backend)
    await after.open().settled()
    expect([after.applied, after.durable]).toEqual([
      ['write a', 'remove a'],
      ['write a', 'remove a'],
    ])
  })

  test('many changes do not wait for the time to be over', async () => {
    const { index, open, durable, clock } = await setUp()
    const journal = open()
    const paths = Array.from({ length: 4_096 }, (_, at) => `path ${at}`)
    await Promise.all(paths.map((path) => index.transact((tx) => journal.write(tx, path, DIGEST))))
    await clock.advance(50)
    await settle()
    await expect.poll(() => durable.length).toBe(4_096)
    expect(await index.page(PENDING, { limit: 10 })).toEqual([])
    await journal[Symbol.asyncDispose]()
  })

  test('who waits for the end does not wait for more to gather', async () => {
    const { index, open, applied, clock } = await setUp()
    const journal = open()
    await index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await journal.settled()
    expect([applied, clock.sleeping()]).toEqual([['write a'], 0])
  })

  test('closing carries out what is left', async () => {
    const { index, open, applied } = await setUp()
    const journal = open()
    await index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await journal[Symbol.asyncDispose]()
    expect(applied).toEqual(['write a'])
    expect(await index.page(PENDING, { limit: 10 })).toEqual([])
  })

  test('more changes than are carried out at once all come, in order', async () => {
    const { index, open, applied } = await setUp()
    const journal = open()
    const paths = Array.from({ length: 300 }, (_, at) => `path ${at}`)
    await Promise.all(paths.map((path) => index.transact((tx) => journal.write(tx, path, DIGEST))))
    await journal.settled()
    expect(applied).toEqual(paths.map((path) => `write ${path}`))
  })

  test('what could not be written is tried again when time has passed, without further news', async () => {
    const { index, open, applied, state, clock } = await setUp()
    const journal = open()
    state.isFailing = true
    await index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await clock.advance(20_000)
    state.isFailing = false
    await clock.advance(5_000)
    await journal.settled()
    expect(applied).toEqual(['write a'])
  })

  test('what waits to be tried again is overtaken by nothing', async () => {
    const { index, open, applied, state, clock } = await setUp()
    const journal = open()
    state.isFailing = true
    await index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await clock.advance(50)
    await index.transact((tx) => journal.remove(tx, 'a'))
    await clock.advance(1_000)
    expect([state.tries, applied]).toEqual([1, []])
    state.isFailing = false
    await clock.advance(5_000)
    await journal.settled()
    expect(applied).toEqual(['write a', 'remove a'])
  })

  test('what a crash left is carried out at the next start', async () => {
    const before = await setUp()
    before.state.isFailing = true
    const journal = before.open()
    await before.index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await before.clock.advance(50)
    const after = await setUp(before.backend)
    await after.open().settled()
    expect(after.applied).toEqual(['write a'])
    expect(await after.index.page(PENDING, { limit: 10 })).toEqual([])
  })

  test('after a crash between the files and the index the change is carried out once more', async () => {
    const before = await setUp()
    const journal = before.open()
    await journal.settled()
    const isDone = Promise.withResolvers<void>()
    before.state.gate = isDone.promise
    await before.index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await before.clock.advance(50)
    // The process is gone here: the file may be written, the row is still there.
    const after = await setUp(before.backend)
    await after.open().settled()
    expect(after.applied).toEqual(['write a'])
    isDone.resolve()
    await journal.settled()
  })

  test('closing does not wait for a disk to have space again', async () => {
    const { index, open, state, clock } = await setUp()
    const journal = open()
    state.isFailing = true
    await index.transact((tx) => journal.write(tx, 'a', DIGEST))
    await clock.advance(50)
    await journal[Symbol.asyncDispose]()
    expect(clock.sleeping()).toBe(0)
    expect(await index.page(PENDING, { limit: 10 })).toHaveLength(1)
  })
})
