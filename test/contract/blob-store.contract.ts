/** What every BlobStore promises. A second store over the same disk is a restart of the process. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { BlobStore, StageName } from '../../src/storage/blob-store.ts'
import { bytesOf } from '../helpers/images.ts'

export interface BlobStoreWorld extends AsyncDisposable {
  /** A store over the world's disk, as a process opens it. */
  open(): Promise<BlobStore>
  /** Overwrites what is stored under the digest, as a failing disk does. */
  damage(digest: Digest, bytes: Uint8Array): Promise<void>
}

const NAME = '0f8fad5b-d9cd-469f-a165-70867728950e' as StageName
const BYTES = bytesOf('contract', 3_000_000)
const DIGEST = digestOf(BYTES)

export function blobStoreContract(makeWorld: () => Promise<BlobStoreWorld>): void {
  async function withStore(use: (store: BlobStore, world: BlobStoreWorld) => Promise<void>) {
    await using world = await makeWorld()
    await use(await world.open(), world)
  }

  describe('blobs', () => {
    it('what was put is read back, whole and in ranges', () =>
      withStore(async (store) => {
        await store.put(DIGEST, BYTES)
        expect(await store.stat(DIGEST)).toEqual({ size: BYTES.length })
        expect(same(await store.readAll(DIGEST), BYTES)).toBe(true)
        expect(same(await collect(store, DIGEST), BYTES)).toBe(true)
        const range = { start: 1_000_001, end: 2_500_000 }
        expect(
          same(await collect(store, DIGEST, range), BYTES.subarray(1_000_001, 2_500_000)),
        ).toBe(true)
        expect(await collect(store, DIGEST, { start: 5, end: 5 })).toHaveLength(0)
      }))

    it('an absent blob is undefined to every question', () =>
      withStore(async (store) => {
        expect(await store.stat(DIGEST)).toBeUndefined()
        expect(await store.read(DIGEST)).toBeUndefined()
        expect(await store.readAll(DIGEST)).toBeUndefined()
        expect(await store.delete(DIGEST)).toBe(false)
        expect(await listed(store)).toEqual([])
      }))

    it('bytes of another digest are refused and nothing is stored', () =>
      withStore(async (store) => {
        await expect(store.put(DIGEST, BYTES.subarray(1))).rejects.toMatchObject({
          code: 'DIGEST_MISMATCH',
        })
        expect(await listed(store)).toEqual([])
        expect(await store.stages()).toEqual([])
      }))

    it('put replaces a damaged blob of the same size', () =>
      withStore(async (store, world) => {
        await store.put(DIGEST, BYTES)
        await world.damage(DIGEST, new Uint8Array(BYTES.length))
        await store.put(DIGEST, BYTES)
        expect(same(await store.readAll(DIGEST), BYTES)).toBe(true)
      }))

    it('an empty blob is a blob', () =>
      withStore(async (store) => {
        const empty = digestOf(new Uint8Array())
        await store.put(empty, new Uint8Array())
        expect(await store.stat(empty)).toEqual({ size: 0 })
        expect(await collect(store, empty)).toHaveLength(0)
      }))

    it('every blob is listed once, sha512 too, also after a restart', () =>
      withStore(async (store, world) => {
        const small = Buffer.from('small')
        const digests = [DIGEST, digestOf(small), digestOf(small, 'sha512')]
        await store.put(DIGEST, BYTES)
        await store.put(digestOf(small), small)
        await store.put(digestOf(small, 'sha512'), small)
        expect((await listed(store)).sort()).toEqual([...digests].sort())
        expect((await listed(await world.open())).sort()).toEqual([...digests].sort())
      }))

    it('a deleted blob is absent and can come again', () =>
      withStore(async (store) => {
        await store.put(DIGEST, BYTES)
        expect(await store.delete(DIGEST)).toBe(true)
        expect(await store.stat(DIGEST)).toBeUndefined()
        expect(await listed(store)).toEqual([])
        await store.put(DIGEST, BYTES)
        expect(await store.stat(DIGEST)).toEqual({ size: BYTES.length })
      }))
  })

  describe('stages', () => {
    it('appended bytes become a blob when the digest is theirs, and the stage is gone', () =>
      withStore(async (store) => {
        const stage = await store.stage(NAME)
        expect(await stage.append(chunks(BYTES, 70_001))).toBe(BYTES.length)
        expect(await stage.commit(DIGEST)).toEqual({ kind: 'stored', size: BYTES.length })
        await stage.close()
        expect(same(await store.readAll(DIGEST), BYTES)).toBe(true)
        expect(await store.stages()).toEqual([])
      }))

    it('a blob is absent until its stage is committed', () =>
      withStore(async (store) => {
        const stage = await store.stage(NAME)
        await stage.append(chunks(BYTES, 65_536))
        expect(await store.stat(DIGEST)).toBeUndefined()
        expect(await listed(store)).toEqual([])
        await stage.close()
      }))

    it('a mismatch names what the bytes are and leaves the stage as it was', () =>
      withStore(async (store) => {
        const stage = await store.stage(NAME)
        await stage.append(chunks(BYTES.subarray(0, 2_000_000), 65_536))
        const actual = digestOf(BYTES.subarray(0, 2_000_000))
        expect(await stage.commit(DIGEST)).toEqual({ kind: 'mismatch', actual })
        expect(await store.stat(DIGEST)).toBeUndefined()
        expect(stage.size).toBe(2_000_000)
        await stage.append(chunks(BYTES.subarray(2_000_000), 65_536))
        expect(await stage.commit(DIGEST)).toMatchObject({ kind: 'stored' })
      }))

    it('a sha512 digest is verified too', () =>
      withStore(async (store) => {
        const digest = digestOf(BYTES, 'sha512')
        const stage = await store.stage(NAME)
        await stage.append(chunks(BYTES, 65_536))
        expect(await stage.commit(digest)).toMatchObject({ kind: 'stored' })
        expect(same(await store.readAll(digest), BYTES)).toBe(true)
      }))

    it('bytes may come in several requests and over a restart', () =>
      withStore(async (store, world) => {
        const cuts = [0, 1, 900_000, 2_000_000, BYTES.length]
        for (let at = 1; at < cuts.length; at += 1) {
          // The third part comes to a new process, which has to read what the others wrote.
          const current = at === 3 ? await world.open() : store
          const stage = await current.stage(NAME)
          expect(stage.size).toBe(cuts[at - 1])
          await stage.append(chunks(BYTES.subarray(cuts[at - 1], cuts[at]), 65_536))
          await stage.close()
        }
        const stage = await store.stage(NAME)
        expect(await stage.commit(DIGEST)).toMatchObject({ kind: 'stored' })
        expect(same(await store.readAll(DIGEST), BYTES)).toBe(true)
      }))

    it('what came before the source failed is kept, and counts', () =>
      withStore(async (store) => {
        const stage = await store.stage(NAME)
        const cut = stage.append(failing(BYTES.subarray(0, 1_500_000), new Error('cut')))
        await expect(cut).rejects.toThrow('cut')
        expect(stage.size).toBe(1_500_000)
        await stage.append(chunks(BYTES.subarray(1_500_000), 65_536))
        expect(await stage.commit(DIGEST)).toMatchObject({ kind: 'stored' })
      }))

    it('an abort ends an append whose source is silent', () =>
      withStore(async (store) => {
        const stage = await store.stage(NAME)
        const stop = new AbortController()
        const appending = stage.append(thenSilent(BYTES.subarray(0, 10)), { signal: stop.signal })
        stop.abort(new Error('given up'))
        await expect(appending).rejects.toThrow('given up')
        await stage.close()
      }))

    it('two stages of the same content both end as the one blob', () =>
      withStore(async (store) => {
        const names = [NAME, 'blob-second' as StageName, 'blob-third' as StageName]
        const stages = await Promise.all(names.map((name) => store.stage(name)))
        await Promise.all(stages.map((stage) => stage.append(chunks(BYTES, 65_536))))
        const commits = await Promise.all(stages.map((stage) => stage.commit(DIGEST)))
        expect(commits.map(({ kind }) => kind)).toEqual(['stored', 'stored', 'stored'])
        expect(same(await store.readAll(DIGEST), BYTES)).toBe(true)
        expect(await store.stages()).toEqual([])
      }))

    it('a closed stage is listed with its size; a discarded one is gone', () =>
      withStore(async (store) => {
        const stage = await store.stage(NAME)
        await stage.append(chunks(BYTES.subarray(0, 1_234), 100))
        await stage.close()
        expect(await store.stages()).toMatchObject([{ name: NAME, size: 1_234 }])
        const again = await store.stage(NAME)
        await again.discard()
        expect(await store.stages()).toEqual([])
        const fresh = await store.stage(NAME)
        expect(fresh.size).toBe(0)
        await fresh.close()
      }))

    it('however the bytes are cut into chunks and requests, the blob is the same', () =>
      withStore(async (store) => {
        const sizes = fc.array(fc.nat({ max: 300_000 }), { minLength: 1, maxLength: 8 })
        await fc.assert(
          fc.asyncProperty(
            sizes,
            fc.integer({ min: 10_000, max: 200_000 }),
            async (parts, chunk) => {
              const total = parts.reduce((sum, part) => sum + part, 0)
              const bytes = BYTES.subarray(0, Math.min(total, BYTES.length))
              let at = 0
              for (const part of parts) {
                const stage = await store.stage(NAME)
                await stage.append(chunks(bytes.subarray(at, at + part), chunk))
                at += part
                await stage.close()
              }
              const stage = await store.stage(NAME)
              const commit = await stage.commit(digestOf(bytes))
              await stage.close()
              return commit.kind === 'stored'
            },
          ),
          { numRuns: 15 },
        )
      }))
  })
}

function same(left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left !== undefined && Buffer.compare(left, right) === 0
}

async function collect(
  store: BlobStore,
  digest: Digest,
  range?: { readonly start: number; readonly end: number },
): Promise<Uint8Array> {
  const stream = await store.read(digest, range)
  if (stream === undefined) throw new Error('the blob is absent')
  return Buffer.concat(await stream.toArray())
}

async function listed(store: BlobStore): Promise<Digest[]> {
  const digests: Digest[] = []
  for await (const digest of store.list()) digests.push(digest)
  return digests
}

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    // The buffer is used again, as sockets do it: a store that keeps it without a copy stores the wrong bytes.
    const chunk = Uint8Array.from(bytes.subarray(at, at + size))
    yield chunk
    chunk.fill(0)
  }
}

async function* failing(bytes: Uint8Array, error: Error): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes, 65_536)
  throw error
}

async function* thenSilent(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
  await new Promise(() => {})
}
