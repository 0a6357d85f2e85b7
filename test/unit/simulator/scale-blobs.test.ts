import { describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { createSizedBlobStore } from '../../../src/simulator/scale-blobs.ts'
import type { StageName } from '../../../src/storage/blob-store.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

const layer = digestOf(Buffer.from('a layer'))

function createStore() {
  return createSizedBlobStore({ clock: createFakeClock(), sizes: new Map([[layer, 1_000]]) })
}

async function* bytes(...sizes: readonly number[]) {
  for (const size of sizes) yield new Uint8Array(size)
}

describe('simulator / blobs of which only the size is kept', () => {
  test('a stage with all of its bytes becomes the blob, and counts as it', async () => {
    const store = createStore()
    const stage = await store.stage('blob-x' as StageName)
    expect(await stage.append(bytes(600, 400))).toBe(1_000)
    expect(await stage.commit(layer)).toEqual({ kind: 'stored', size: 1_000 })
    expect(await store.stat(layer)).toEqual({ size: 1_000 })
    expect(await store.stages()).toEqual([])
  })

  test('a stage with more or less is no blob', async () => {
    const store = createStore()
    const stage = await store.stage('blob-x' as StageName)
    await stage.append(bytes(999))
    expect((await stage.commit(layer)).kind).toBe('mismatch')
    await stage.append(bytes(2))
    expect((await stage.commit(layer)).kind).toBe('mismatch')
    expect(await store.stat(layer)).toBeUndefined()
  })

  test('what has bytes is kept with them, and both kinds are listed and deleted', async () => {
    const store = createStore()
    const manifest = Buffer.from('{}')
    await store.put(digestOf(manifest), manifest)
    store.hold(layer)
    expect(await store.readAll(digestOf(manifest))).toEqual(manifest)
    const listed: Digest[] = []
    for await (const digest of store.list()) listed.push(digest)
    expect(listed.sort()).toEqual([layer, digestOf(manifest)].sort())
    expect(await store.delete(layer)).toBe(true)
    expect(await store.delete(digestOf(manifest))).toBe(true)
    expect(await store.delete(layer)).toBe(false)
  })
})
