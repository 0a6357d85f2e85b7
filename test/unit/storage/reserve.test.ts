import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import { createReserve, keepingReserve } from '../../../src/storage/reserve.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'

const BYTES = 256 * 1024

async function setUp() {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-reserve-'))
  const path = join(directory, 'reserve')
  const clock = createFakeClock()
  const reserve = createReserve({ clock, logger: silentLogger }, { path, bytes: BYTES })
  return {
    path,
    clock,
    reserve,
    sizeOf: async () => (await stat(path).catch(() => undefined))?.size,
    [Symbol.asyncDispose]: async () => {
      await reserve[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    },
  }
}

test('it is made, given up once, and made again when there is room', async () => {
  await using rig = await setUp()
  const { reserve } = rig
  expect(await reserve.giveUp()).toBe(false)
  reserve.start()
  await eventually(async () => (await rig.sizeOf()) === BYTES)
  expect(reserve.isSpent()).toBe(false)
  expect(await reserve.giveUp()).toBe(true)
  await eventually(async () => (await rig.sizeOf()) === BYTES && !reserve.isSpent())
})

test('what is no reserve is made anew: cut off, or a hole of the right size', async () => {
  for (const spoil of [
    (path: string) => writeFile(path, 'cut off'),
    async (path: string) => {
      await writeFile(path, '')
      await truncate(path, BYTES)
    },
  ]) {
    await using rig = await setUp()
    await spoil(rig.path)
    expect(await rig.reserve.giveUp()).toBe(false)
    rig.reserve.start()
    await eventually(async () => ((await stat(rig.path)).blocks ?? 0) * 512 >= BYTES)
  }
})

test('while it is spent the store takes no bytes, and goes on to read, commit and remove', async () => {
  const blobs = createMemoryBlobStore({ clock: createFakeClock(), disk: createMemoryDisk() })
  let isSpent = false
  const store = keepingReserve(blobs, { isSpent: () => isSpent })
  const [before, staged, refused] = ['before', 'staged', 'refused'].map((text) =>
    makeBlob(bytesOf(text, 100)),
  ) as [ReturnType<typeof makeBlob>, ReturnType<typeof makeBlob>, ReturnType<typeof makeBlob>]
  await store.put(before.digest, before.bytes)
  const stage = await store.stage('a-stage' as never)
  const bytes = async function* () {
    yield staged.bytes
  }
  await stage.append(bytes())
  isSpent = true
  await expect(store.put(refused.digest, refused.bytes)).rejects.toMatchObject({ code: 'ENOSPC' })
  await expect(stage.append(bytes())).rejects.toMatchObject({ code: 'ENOSPC' })
  expect(stage.size).toBe(staged.bytes.length)
  expect((await stage.commit(staged.digest)).kind).toBe('stored')
  expect(await store.readAll(before.digest)).toEqual(before.bytes)
  expect(await store.delete(before.digest)).toBe(true)
  isSpent = false
  await store.put(refused.digest, refused.bytes)
})
