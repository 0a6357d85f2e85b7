import { readdir, readlink, rm, truncate } from 'node:fs/promises'
import { connect } from 'node:net'
import { request } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../helpers/eventually.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'
import { errorOf, type Registry, startRegistry } from './registry-rig.ts'

const SMALL = makeBlob(bytesOf('small', 1_000))
const LARGE = makeBlob(bytesOf('large', 5 * 1024 * 1024 + 17))
const EMPTY = makeBlob(new Uint8Array())
const pathOf = ({ digest }: typeof SMALL) => `/v2/team/app/blobs/${digest}`

describe.each(['disk', 'memory'] as const)('blobs of a registry with its store on %s', (store) => {
  let registry: Registry

  beforeEach(async () => {
    registry = await startRegistry({ store })
    for (const blob of [SMALL, LARGE, EMPTY]) await registry.pushBlob('team/app', blob)
  })
  afterEach(() => registry[Symbol.asyncDispose]())

  it.each([SMALL, LARGE, EMPTY])('GET gives the bytes and says what they are', async (blob) => {
    const answer = await registry.ask(pathOf(blob))
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-length': String(blob.bytes.length),
      'content-type': 'application/octet-stream',
      'docker-content-digest': blob.digest,
      etag: `"${blob.digest}"`,
      'accept-ranges': 'bytes',
      'cache-control': expect.stringContaining('immutable'),
    })
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), blob.bytes)).toBe(0)
  })

  /** Bodies take another way to the socket beyond 128 KiB and 1 MiB. */
  it.each([128, 1024])('a blob about %d KiB long comes whole', async (kib) => {
    for (const more of [0, 1]) {
      const blob = makeBlob(bytesOf(`${kib} and ${more}`, kib * 1024 + more))
      await registry.pushBlob('team/app', blob)
      const answer = await registry.ask(pathOf(blob))
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), blob.bytes)).toBe(0)
    }
  })

  it.each([SMALL, LARGE, EMPTY])('HEAD gives the same headers and no body', async (blob) => {
    const answer = await registry.ask(pathOf(blob), {
      method: 'HEAD',
      headers: { range: 'bytes=0-1' },
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe(String(blob.bytes.length))
    expect(answer.headers.get('docker-content-digest')).toBe(blob.digest)
    expect(await answer.text()).toBe('')
  })

  it.each([
    [SMALL, 'bytes=0-0', 0, 1],
    [SMALL, 'bytes=500-', 500, 1_000],
    [SMALL, 'bytes=-7', 993, 1_000],
    [LARGE, 'bytes=1000000-4999999', 1_000_000, 5_000_000],
    [LARGE, 'bytes=3-', 3, LARGE.bytes.length],
    [LARGE, 'bytes=-2000000', LARGE.bytes.length - 2_000_000, LARGE.bytes.length],
  ])('a range is answered 206 with exactly its bytes', async (blob, range, start, end) => {
    const answer = await registry.ask(pathOf(blob), { headers: { range } })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-range')).toBe(
      `bytes ${start}-${end - 1}/${blob.bytes.length}`,
    )
    expect(answer.headers.get('content-length')).toBe(String(end - start))
    const bytes = Buffer.from(await answer.arrayBuffer())
    expect(Buffer.compare(bytes, blob.bytes.subarray(start, end))).toBe(0)
  })

  it('a range outside is 416 and says how long the blob is', async () => {
    const answer = await registry.ask(pathOf(SMALL), { headers: { range: 'bytes=1000-' } })
    expect(answer.status).toBe(416)
    expect(answer.headers.get('content-range')).toBe('bytes */1000')
  })

  it('If-Range with another tag gives the whole', async () => {
    const ask = (condition: string) =>
      registry.ask(pathOf(SMALL), { headers: { range: 'bytes=0-9', 'if-range': condition } })
    expect((await ask(`"${SMALL.digest}"`)).status).toBe(206)
    expect((await ask('"another"')).status).toBe(200)
  })

  it.each([
    [`"${SMALL.digest}"`, 304],
    [`W/"${SMALL.digest}"`, 304],
    [`"other", "${SMALL.digest}"`, 304],
    ['*', 304],
    ['"other"', 200],
  ])('If-None-Match: %s is answered %i', async (tag, status) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await registry.ask(pathOf(SMALL), {
        method,
        headers: { 'if-none-match': tag },
      })
      expect(answer.status).toBe(status)
    }
  })

  it('a blob of another repository is unknown here', async () => {
    const answer = await registry.ask(`/v2/team/other/blobs/${SMALL.digest}`)
    expect(answer.status).toBe(404)
    expect((await errorOf(answer)).code).toBe('BLOB_UNKNOWN')
    const head = await registry.ask(`/v2/team/other/blobs/${SMALL.digest}`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([404, ''])
  })

  it('a deleted blob is gone at once, from its repository only', async () => {
    await registry.pushBlob('team/other', SMALL)
    expect((await registry.ask(pathOf(SMALL), { method: 'DELETE' })).status).toBe(202)
    expect((await registry.ask(pathOf(SMALL))).status).toBe(404)
    expect((await registry.ask(pathOf(SMALL), { method: 'DELETE' })).status).toBe(404)
    expect((await registry.ask(`/v2/team/other/blobs/${SMALL.digest}`)).status).toBe(200)
  })

  it('?ns= of a mirror serves what has the name of this node, and nothing of another registry', async () => {
    const host = `127.0.0.1:${registry.port}`
    expect((await registry.ask(`${pathOf(SMALL)}?ns=${host}`)).status).toBe(200)
    const other = await registry.ask(`${pathOf(SMALL)}?ns=docker.io`)
    expect([other.status, (await errorOf(other)).code]).toEqual([404, 'NAME_UNKNOWN'])
  })
})

describe('blobs on a disk that fails', () => {
  it.each([SMALL, LARGE])('a file that was cut short is as good as absent', async (blob) => {
    await using registry = await startRegistry()
    await registry.pushBlob('team/app', blob)
    await truncate(registry.blobs.pathOf(blob.digest) ?? '', blob.bytes.length - 1)
    for (const method of ['GET', 'HEAD']) {
      expect((await registry.ask(pathOf(blob), { method })).status).toBe(404)
    }
  })

  it.each([SMALL, LARGE])(
    'a file that goes, or shrinks, between the look and the read is 404',
    async (blob) => {
      await using registry = await startRegistry({
        // It was there when it was asked for.
        wrap: (blobs) => ({ ...blobs, stat: async () => ({ size: blob.bytes.length }) }),
      })
      await registry.pushBlob('team/app', blob)
      const path = registry.blobs.pathOf(blob.digest) ?? ''
      for (const spoil of [() => truncate(path, blob.bytes.length - 1), () => rm(path)]) {
        await spoil()
        const answer = await registry.ask(pathOf(blob), { headers: { range: 'bytes=0-9' } })
        expect(answer.status).toBe(404)
        expect((await errorOf(answer)).code).toBe('BLOB_UNKNOWN')
        expect((await registry.ask(pathOf(blob))).status).toBe(404)
      }
      expect(registry.damage.has(blob.digest)).toBe(true)
    },
  )
})

describe('clients that leave', () => {
  const HUGE = makeBlob(new Uint8Array(32 * 1024 * 1024))

  async function openFiles(directory: string): Promise<number> {
    const fds = await readdir('/proc/self/fd')
    const paths = await Promise.all(
      fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    )
    return paths.filter((path) => path.startsWith(directory)).length
  }

  it('in the middle of a download leave no open file and no line in the log', async () => {
    await using registry = await startRegistry()
    await registry.pushBlob('team/app', HUGE)
    for (let at = 0; at < 20; at += 1) {
      const { body } = await request(`${registry.url}${pathOf(HUGE)}`)
      for await (const chunk of body) {
        if ((chunk as Uint8Array).length > 0) break
      }
    }
    await eventually(async () => (await openFiles(registry.directory)) === 0)
    expect(registry.logged).toEqual([])
    expect((await registry.ask(pathOf(HUGE), { headers: { range: 'bytes=0-9' } })).status).toBe(206)
  })

  it('with a second request waiting on the same connection leave no open file', async () => {
    await using registry = await startRegistry()
    await registry.pushBlob('team/app', HUGE)
    const line = `GET ${pathOf(HUGE)} HTTP/1.1\r\nHost: registry\r\n\r\n`
    const socket = connect(registry.port, '127.0.0.1')
    socket.write(line + line)
    await new Promise((resolve) => socket.once('readable', resolve))
    await eventually(async () => (await openFiles(registry.directory)) > 0)
    socket.destroy()
    await eventually(async () => (await openFiles(registry.directory)) === 0)
    expect(registry.logged).toEqual([])
  })
})
