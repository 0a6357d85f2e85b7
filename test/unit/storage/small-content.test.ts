import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import { SMALL_CONTENT_BYTES, withSmallContent } from '../../../src/storage/small-content.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { bytesOf } from '../../helpers/images.ts'

const SMALL = bytesOf('small', 5_000)
const LARGE = bytesOf('large', SMALL_CONTENT_BYTES + 1)

function makeStore() {
  const disk = createMemoryDisk()
  const inner = createMemoryBlobStore({ clock: createFakeClock(), disk })
  return { disk, inner, store: withSmallContent(inner) }
}

describe('small content in memory', () => {
  it('is right whatever happens to its file afterwards', async () => {
    const { disk, inner, store } = makeStore()
    const digest = digestOf(SMALL)
    await inner.put(digest, SMALL)
    expect(await store.readAll(digest)).toEqual(SMALL)
    disk.blobs.set(digest, new Uint8Array(3))
    expect(await store.readAll(digest)).toEqual(SMALL)
    expect(await store.stat(digest)).toEqual({ size: SMALL.length })
  })

  it('with wrong bytes of the right size reads as absent, and is read again when it is whole', async () => {
    const { disk, inner, store } = makeStore()
    const digest = digestOf(SMALL)
    await inner.put(digest, SMALL)
    disk.blobs.set(digest, new Uint8Array(SMALL.length))
    expect(await store.readAll(digest)).toBeUndefined()
    disk.blobs.set(digest, SMALL)
    expect(await store.readAll(digest)).toEqual(SMALL)
  })

  it('is gone with its blob', async () => {
    const { store } = makeStore()
    const digest = digestOf(SMALL)
    await store.put(digest, SMALL)
    await store.delete(digest)
    expect(await store.readAll(digest)).toBeUndefined()
    expect(await store.stat(digest)).toBeUndefined()
  })

  it('a read that meets the delete does not bring it back', async () => {
    const { inner } = makeStore()
    const digest = digestOf(SMALL)
    await inner.put(digest, SMALL)
    const { promise: isDeleted, resolve } = Promise.withResolvers<void>()
    const readAll = async () => {
      const bytes = await inner.readAll(digest)
      await isDeleted
      return bytes
    }
    const store = withSmallContent({ ...inner, readAll })
    const reading = store.readAll(digest)
    await store.delete(digest)
    resolve()
    await reading
    expect(await store.stat(digest)).toBeUndefined()
  })

  it('what is put stays as it was when its buffer is used again', async () => {
    const { store } = makeStore()
    const bytes = Uint8Array.from(SMALL)
    const digest = digestOf(bytes)
    await store.put(digest, bytes)
    bytes.fill(0)
    expect(digestOf((await store.readAll(digest)) ?? new Uint8Array())).toBe(digest)
  })

  it('large content is not kept', async () => {
    const { disk, inner, store } = makeStore()
    const digest = digestOf(LARGE)
    await inner.put(digest, LARGE)
    await store.readAll(digest)
    disk.blobs.delete(digest)
    expect(await store.stat(digest)).toBeUndefined()
  })
})
