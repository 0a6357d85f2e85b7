import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { openDiskBlobStore } from '../../../src/storage/disk-blob-store.ts'
import { createIndexDb, type IndexDb } from '../../../src/storage/index-db.ts'
import { UPLOAD } from '../../../src/storage/index-tables.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../../../src/storage/memory-blob-store.ts'
import { createUploadSessions, type LinkBlob } from '../../../src/storage/upload-sessions.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

const REPOSITORY = 'team/app' as RepositoryName
const OTHER = 'team/other' as RepositoryName
const BYTES = Buffer.from('the bytes of a layer')
const DIGEST = digestOf(BYTES)
const HOUR_MS = 3_600_000
const LIMITS = { uploads: 20, uploadBytes: 1_000 }

async function makeSessions() {
  const clock = createFakeClock()
  const index = createIndexDb(await openMemoryBackend())
  const blobs = createMemoryBlobStore({ clock, disk: createMemoryDisk() })
  const uploads = createUploadSessions({ blobs, index, clock }, LIMITS)
  const linked: Linked[] = []
  return { clock, index, blobs, uploads, linked }
}

type Linked = Parameters<LinkBlob>[0]

/** The commit that the upload ends in; `linked` says of what. */
function linkIn(index: IndexDb, linked: Linked[]): LinkBlob {
  return (blob, alongside) =>
    index.transact((tx) => {
      alongside(tx)
      tx.afterCommit(() => linked.push(blob))
    })
}

describe('upload sessions', () => {
  it('chunks in order become the blob, and the session ends', async () => {
    const { uploads, blobs, index, linked } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    expect(await uploads.offset(REPOSITORY, id)).toBe(0)
    expect(await uploads.append(REPOSITORY, id, once(BYTES.subarray(0, 5)), { at: 0 })).toBe(5)
    expect(await uploads.append(REPOSITORY, id, once(BYTES.subarray(5)))).toBe(BYTES.length)
    await uploads.finish(REPOSITORY, id, DIGEST, linkIn(index, linked))
    expect(linked).toEqual([{ digest: DIGEST, size: BYTES.length }])
    expect(await blobs.readAll(DIGEST)).toEqual(BYTES)
    await expect(uploads.offset(REPOSITORY, id)).rejects.toMatchObject({
      code: 'BLOB_UPLOAD_UNKNOWN',
    })
  })

  it('a chunk out of order is refused with 416, names the offset, and changes nothing', async () => {
    const { uploads } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(BYTES.subarray(0, 5)))
    const late = uploads.append(REPOSITORY, id, once(BYTES), { at: 7 })
    await expect(late).rejects.toMatchObject({ code: 'BLOB_UPLOAD_INVALID', status: 416 })
    await expect(late).rejects.toThrow('starts at 5, got one at 7')
    expect(await uploads.offset(REPOSITORY, id)).toBe(5)
  })

  it('a wrong digest stores nothing and ends the session', async () => {
    const { uploads, blobs, index, linked } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(Buffer.from('others')))
    await expect(
      uploads.finish(REPOSITORY, id, DIGEST, linkIn(index, linked)),
    ).rejects.toMatchObject({
      code: 'DIGEST_INVALID',
      status: 400,
    })
    expect(await blobs.stages()).toEqual([])
    expect(await blobs.stat(DIGEST)).toBeUndefined()
    await expect(uploads.offset(REPOSITORY, id)).rejects.toMatchObject({ status: 404 })
  })

  it('the session ends in the commit that links the blob, or not at all', async () => {
    const { uploads, blobs } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(BYTES))
    const full = new Error('disk full')
    await expect(uploads.finish(REPOSITORY, id, DIGEST, () => Promise.reject(full))).rejects.toBe(
      full,
    )
    // The client may go on: the bytes are a blob already, the session is still its own.
    expect(await uploads.offset(REPOSITORY, id)).toBe(0)
    expect(await blobs.stat(DIGEST)).toEqual({ size: BYTES.length })
  })

  describe('a blob in one request', () => {
    it('becomes a blob without a session', async () => {
      const { uploads, blobs, index, linked } = await makeSessions()
      await uploads.receive(DIGEST, once(BYTES), linkIn(index, linked))
      expect(linked).toEqual([{ digest: DIGEST, size: BYTES.length }])
      expect(await blobs.readAll(DIGEST)).toEqual(BYTES)
    })

    it.each<readonly [string, AsyncIterable<Uint8Array>, object]>([
      ['other bytes', once(Buffer.from('others')), { code: 'DIGEST_INVALID', status: 400 }],
      ['a client that goes away', cutAfter(BYTES.subarray(0, 9)), {}],
    ])('%s leave nothing behind', async (_, bytes, error) => {
      await using directory = await makeTemporaryDirectory()
      const blobs = await openDiskBlobStore({ directory: directory.path })
      const index = createIndexDb(await openMemoryBackend())
      const uploads = createUploadSessions({ blobs, index, clock: createFakeClock() }, LIMITS)
      const linked: Linked[] = []
      await expect(uploads.receive(DIGEST, bytes, linkIn(index, linked))).rejects.toMatchObject(
        error,
      )
      expect(linked).toEqual([])
      expect(await blobs.stat(DIGEST)).toBeUndefined()
      expect(await readdir(join(directory.path, 'entrepot', 'staging'))).toEqual([])
    })

    it('does not count against the bound of sessions, nor is it held up by it', async () => {
      const { blobs, index, clock, linked } = await makeSessions()
      const uploads = createUploadSessions({ blobs, index, clock }, { ...LIMITS, uploads: 1 })
      const slow = byHand()
      const first = uploads.receive(DIGEST, slow.source, linkIn(index, linked))
      await slow.send(BYTES)
      const id = await uploads.begin(REPOSITORY)
      await uploads.append(REPOSITORY, id, once(BYTES.subarray(0, 5)))
      await expect(uploads.begin(REPOSITORY)).rejects.toMatchObject({ status: 503 })
      slow.end()
      await first
      expect(linked).toHaveLength(1)
    })
  })

  it('a session is unknown to another repository', async () => {
    const { uploads, index, linked } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    const code = 'BLOB_UPLOAD_UNKNOWN'
    await expect(uploads.offset(OTHER, id)).rejects.toMatchObject({ code })
    await expect(uploads.append(OTHER, id, once(BYTES))).rejects.toMatchObject({ code })
    await expect(uploads.finish(OTHER, id, DIGEST, linkIn(index, linked))).rejects.toMatchObject({
      code,
    })
    await expect(uploads.cancel(OTHER, id)).rejects.toMatchObject({ code })
    expect(await uploads.offset(REPOSITORY, id)).toBe(0)
  })

  it.each(['', '..', '../../etc/passwd', 'x'.repeat(36), 'blob-sha256-00', '\0'])(
    'an id that is no UUID is unknown: %j',
    async (id) => {
      const { uploads, blobs } = await makeSessions()
      await expect(uploads.append(REPOSITORY, id, once(BYTES))).rejects.toMatchObject({
        code: 'BLOB_UPLOAD_UNKNOWN',
      })
      expect(await blobs.stages()).toEqual([])
    },
  )

  it('while one chunk comes another is refused with 409, and the offset can be asked', async () => {
    const { uploads, index, linked } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    const slow = byHand()
    const first = uploads.append(REPOSITORY, id, slow.source)
    await slow.send(BYTES.subarray(0, 8))
    await expect(uploads.append(REPOSITORY, id, once(BYTES))).rejects.toMatchObject({
      code: 'BLOB_UPLOAD_INVALID',
      status: 409,
    })
    expect(await uploads.offset(REPOSITORY, id)).toBe(8)
    await slow.send(BYTES.subarray(8))
    slow.end()
    expect(await first).toBe(BYTES.length)
    await uploads.finish(REPOSITORY, id, DIGEST, linkIn(index, linked))
    expect(linked).toEqual([{ digest: DIGEST, size: BYTES.length }])
  })

  it('a session outlives a restart with what arrived', async () => {
    await using directory = await makeTemporaryDirectory()
    const backend = await openMemoryBackend()
    const clock = createFakeClock()
    const start = async () =>
      createUploadSessions(
        {
          blobs: await openDiskBlobStore({ directory: directory.path }),
          index: createIndexDb(backend),
          clock,
        },
        LIMITS,
      )
    const before = await start()
    const id = await before.begin(REPOSITORY)
    await expect(before.append(REPOSITORY, id, cutAfter(BYTES.subarray(0, 9)))).rejects.toThrow()
    const after = await start()
    expect(await after.offset(REPOSITORY, id)).toBe(9)
    await expect(after.offset(OTHER, id)).rejects.toMatchObject({ status: 404 })
    await after.append(REPOSITORY, id, once(BYTES.subarray(9)), { at: 9 })
    const linked: Linked[] = []
    await after.finish(REPOSITORY, id, DIGEST, linkIn(createIndexDb(backend), linked))
    expect(linked).toEqual([{ digest: DIGEST, size: BYTES.length }])
  })

  it('a cancelled session leaves no bytes', async () => {
    const { uploads, blobs } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(BYTES))
    await uploads.cancel(REPOSITORY, id)
    expect(await blobs.stages()).toEqual([])
    await expect(uploads.cancel(REPOSITORY, id)).rejects.toMatchObject({ status: 404 })
  })

  it('a cancelled session gives its bytes back also while the index cannot be written: its disk may be full of them', async () => {
    const { index, blobs, clock, uploads } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(BYTES))
    const transact = () => Promise.reject(new Error('no space left on device'))
    const full = createUploadSessions({ blobs, clock, index: { ...index, transact } }, LIMITS)
    await expect(full.cancel(REPOSITORY, id)).rejects.toThrow('no space left')
    expect(await blobs.stages()).toEqual([])
  })

  it('idle sessions expire, ones with news or at work do not', async () => {
    const { uploads, blobs, clock } = await makeSessions()
    const idle = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, idle, once(BYTES))
    const empty = await uploads.begin(REPOSITORY)
    const fresh = await uploads.begin(REPOSITORY)
    const atWork = await uploads.begin(REPOSITORY)
    const slow = byHand()
    const working = uploads.append(REPOSITORY, atWork, slow.source)
    await slow.send(BYTES)
    await clock.advance(HOUR_MS)
    await uploads.append(REPOSITORY, fresh, once(BYTES))
    const listed = await uploads.list()
    const isIdle = ({ lastMs }: { readonly lastMs: number }) => clock.now() - lastMs >= HOUR_MS
    expect(
      listed
        .filter(isIdle)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([idle, empty].sort())
    // Whoever lists and then waits does not take what came meanwhile, nor what is at work.
    const gone = await Promise.all(
      listed.map((one) => uploads.expire({ ...one, size: one.id === fresh ? 1 : one.size })),
    )
    expect(gone.filter(Boolean)).toHaveLength(2)
    for (const id of [idle, empty]) {
      await expect(uploads.offset(REPOSITORY, id)).rejects.toMatchObject({ status: 404 })
    }
    expect(await uploads.offset(REPOSITORY, fresh)).toBe(BYTES.length)
    slow.end()
    expect(await working).toBe(BYTES.length)
    expect((await blobs.stages()).map(({ name }) => String(name)).sort()).toEqual(
      [fresh, atWork].sort(),
    )
  })

  it('whoever asks for a session while it expires or is cancelled is told that it is gone, not to wait', async () => {
    const { uploads, blobs, clock } = await makeSessions()
    const ids = [await uploads.begin(REPOSITORY), await uploads.begin(REPOSITORY)]
    for (const id of ids) await uploads.append(REPOSITORY, id, once(BYTES))
    const listed = await uploads.list()
    await clock.advance(HOUR_MS)
    const [one, other] = listed
    if (one === undefined || other === undefined) throw new Error('two sessions')
    const slow = Promise.withResolvers<void>()
    const stage = blobs.stage
    blobs.stage = async (name) => {
      await slow.promise
      return stage(name)
    }
    const ending = [uploads.expire(one), uploads.cancel(REPOSITORY, other.id)]
    await settle()
    await expect(uploads.cancel(REPOSITORY, one.id)).rejects.toMatchObject({ status: 404 })
    await expect(uploads.append(REPOSITORY, other.id, once(BYTES))).rejects.toMatchObject({
      status: 404,
    })
    slow.resolve()
    expect(await Promise.all(ending)).toEqual([true, undefined])
    expect(await blobs.stages()).toEqual([])
  })

  it('a session that could not be removed is there again', async () => {
    const { uploads, blobs } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(BYTES))
    const stage = blobs.stage
    blobs.stage = async (name) => ({
      ...(await stage(name)),
      discard: async () => {
        throw new Error('an input/output error')
      },
    })
    await expect(uploads.cancel(REPOSITORY, id)).rejects.toThrow('input/output')
    blobs.stage = stage
    expect(await uploads.offset(REPOSITORY, id)).toBe(BYTES.length)
    await uploads.cancel(REPOSITORY, id)
    expect(await uploads.list()).toEqual([])
  })

  describe('at the bound', () => {
    async function fill() {
      const parts = await makeSessions()
      const ids: string[] = []
      while (ids.length < LIMITS.uploads) {
        const id = await parts.uploads.begin(REPOSITORY)
        await parts.uploads.append(REPOSITORY, id, once(BYTES.subarray(0, 5)))
        await parts.clock.advance(1_000)
        ids.push(id)
      }
      const known = async () => {
        const listed = await parts.uploads.list()
        return ids.filter((id) => listed.some((one) => one.id === id))
      }
      return { ...parts, ids, known }
    }

    it('the session without a byte that was not heard of for longest gives way, also when many begin at once', async () => {
      const { uploads } = await makeSessions()
      const ids: string[] = []
      while (ids.length < LIMITS.uploads) ids.push(await uploads.begin(REPOSITORY))
      const [first = '', second = '', third = ''] = ids
      await uploads.append(REPOSITORY, first, once(BYTES))
      await uploads.begin(REPOSITORY)
      await expect(uploads.append(REPOSITORY, second, once(BYTES))).rejects.toMatchObject({
        code: 'BLOB_UPLOAD_UNKNOWN',
        status: 404,
      })
      expect(await uploads.offset(REPOSITORY, first)).toBe(BYTES.length)
      expect(await uploads.offset(REPOSITORY, third)).toBe(0)
      await Promise.all(Array.from({ length: 2 * LIMITS.uploads }, () => uploads.begin(REPOSITORY)))
      expect(await uploads.list()).toHaveLength(LIMITS.uploads)
      expect(await uploads.offset(REPOSITORY, first)).toBe(BYTES.length)
    })

    it('sessions with bytes are waited for: a new one is refused with 503 until one ends', async () => {
      const { uploads, ids, known } = await fill()
      await expect(uploads.begin(REPOSITORY)).rejects.toMatchObject({
        code: 'TOOMANYREQUESTS',
        status: 503,
        headers: { 'retry-after': '30' },
      })
      expect(await known()).toEqual(ids)
      await uploads.cancel(REPOSITORY, ids[0] ?? '')
      await uploads.begin(REPOSITORY)
    })

    it('after ten minutes without a request the longest idle one gives way, with its bytes and its row', async () => {
      const { uploads, blobs, index, clock, ids, known } = await fill()
      const [first = '', second = ''] = ids
      await uploads.append(REPOSITORY, first, once(BYTES.subarray(5)))
      await clock.advance(10 * 60_000)
      await uploads.begin(REPOSITORY)
      expect(await known()).toEqual(ids.filter((id) => id !== second))
      expect((await blobs.stages()).map(({ name }) => String(name))).not.toContain(second)
      expect(index.get(UPLOAD, second)).toBeUndefined()
    })

    it('a session that receives bytes never gives way, however long it takes', async () => {
      const { blobs, index, clock } = await makeSessions()
      const uploads = createUploadSessions({ blobs, index, clock }, { ...LIMITS, uploads: 1 })
      const id = await uploads.begin(REPOSITORY)
      const slow = byHand()
      const working = uploads.append(REPOSITORY, id, slow.source)
      await slow.send(BYTES.subarray(0, 5))
      await clock.advance(24 * HOUR_MS)
      await expect(uploads.begin(REPOSITORY)).rejects.toMatchObject({ status: 503 })
      await slow.send(BYTES.subarray(5))
      slow.end()
      expect(await working).toBe(BYTES.length)
    })

    it('sessions of an earlier run count, and the oldest of them gives way first', async () => {
      const { uploads, blobs, index, clock, ids } = await fill()
      await uploads.append(REPOSITORY, ids[0] ?? '', once(BYTES.subarray(5)))
      const after = createUploadSessions({ blobs, index, clock }, LIMITS)
      await expect(after.begin(REPOSITORY)).rejects.toMatchObject({ status: 503 })
      await clock.advance(10 * 60_000)
      await after.begin(REPOSITORY)
      await expect(after.offset(REPOSITORY, ids[1] ?? '')).rejects.toMatchObject({ status: 404 })
      expect(await after.offset(REPOSITORY, ids[0] ?? '')).toBe(BYTES.length)
    })
  })

  it('a session costs the index nothing until bytes have come, nor ever when one request brings them all', async () => {
    const { uploads, index, linked } = await makeSessions()
    const transact = () => Promise.reject(new Error('nothing is to be written'))
    const closed = { ...index, page: index.page, transact }
    const { blobs, clock } = await makeSessions()
    const quiet = createUploadSessions({ blobs, clock, index: closed }, LIMITS)
    const id = await quiet.begin(REPOSITORY)
    expect(await quiet.offset(REPOSITORY, id)).toBe(0)
    await quiet.finish(REPOSITORY, id, DIGEST, linkIn(index, linked), { chunk: once(BYTES) })
    expect(linked).toHaveLength(1)
    const kept = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, kept, once(BYTES))
    expect(index.get(UPLOAD, kept)).toMatchObject({ repository: REPOSITORY })
  })

  it.each([
    ['that is cut', (bytes: Uint8Array) => cutAfter(bytes), 9],
    ['of more than a mebibyte, while it comes', undefined, 1024 * 1024 + 1],
  ])('a closing request %s keeps the session for a restart', async (_, cut, size) => {
    const { blobs, index, clock } = await makeSessions()
    const limits = { uploads: 1, uploadBytes: 10_000_000 }
    const uploads = createUploadSessions({ blobs, index, clock }, limits)
    const id = await uploads.begin(REPOSITORY)
    const slow = byHand()
    const bytes = new Uint8Array(size)
    const chunk = cut?.(bytes) ?? slow.source
    const link = () => Promise.resolve()
    const ended = uploads.finish(REPOSITORY, id, DIGEST, link, { chunk }).catch(() => 'failed')
    if (cut === undefined) await slow.send(bytes)
    else await ended
    await clock.advance(0)
    expect(index.get(UPLOAD, id)).toMatchObject({ repository: REPOSITORY })
    slow.end()
    expect(await ended).toBe('failed')
  })

  it('an upload larger than the bound is refused with 413 and leaves nothing', async () => {
    const { uploads, blobs } = await makeSessions()
    const id = await uploads.begin(REPOSITORY)
    await uploads.append(REPOSITORY, id, once(Buffer.alloc(LIMITS.uploadBytes)))
    await expect(uploads.append(REPOSITORY, id, once(Buffer.alloc(1)))).rejects.toMatchObject({
      code: 'SIZE_INVALID',
      status: 413,
    })
    await expect(uploads.offset(REPOSITORY, id)).rejects.toMatchObject({ status: 404 })
    expect(await blobs.stages()).toEqual([])
  })
})

async function* once(bytes: Uint8Array) {
  yield bytes
}

async function* cutAfter(bytes: Uint8Array) {
  yield bytes
  throw new Error('the client went away')
}

/** A body whose chunks a test sends one by one; `send` resolves when the chunk was taken and more is asked for. */
function byHand() {
  let give: (chunk: Uint8Array | undefined) => void = () => {}
  let asked = Promise.withResolvers<void>()
  async function* source() {
    for (;;) {
      const next = new Promise<Uint8Array | undefined>((resolve) => {
        give = resolve
      })
      asked.resolve()
      const chunk = await next
      if (chunk === undefined) return
      yield chunk
    }
  }
  return {
    source: source(),
    send: async (chunk: Uint8Array) => {
      await asked.promise
      asked = Promise.withResolvers()
      give(chunk)
      await asked.promise
    },
    end: () => give(undefined),
  }
}
