import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { eventually } from '../../helpers/eventually.ts'
import { bytesOf, makeBlob, makeImage } from '../../helpers/images.ts'
import { EDGE, errorOf, type Registry, startRegistry } from './registry-rig.ts'

const BLOB = makeBlob(bytesOf('upload', 3_000_000))
const body = (bytes: Uint8Array) => Uint8Array.from(bytes)
const UPLOADS = '/v2/team/app/blobs/uploads/'

describe('uploads', () => {
  let registry: Registry

  beforeEach(async () => {
    registry = await startRegistry()
  })
  afterEach(() => registry[Symbol.asyncDispose]())

  const isStored = async (repository = 'team/app', { digest } = BLOB) =>
    (await registry.ask(`/v2/${repository}/blobs/${digest}`, { method: 'HEAD' })).status === 200

  it('POST opens a session at a relative location', async () => {
    const answer = await registry.ask(UPLOADS, { method: 'POST' })
    expect(answer.status).toBe(202)
    const id = answer.headers.get('docker-upload-uuid')
    expect(answer.headers.get('location')).toBe(`${UPLOADS}${id}`)
    expect(answer.headers.get('range')).toBe('0-0')
  })

  it('POST with a digest and the bytes is a whole upload', async () => {
    const answer = await registry.ask(`${UPLOADS}?digest=${BLOB.digest}`, {
      method: 'POST',
      body: body(BLOB.bytes),
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/v2/team/app/blobs/${BLOB.digest}`)
    expect(answer.headers.get('docker-content-digest')).toBe(BLOB.digest)
    expect(await isStored()).toBe(true)
  })

  it('POST then PUT with the bytes stores the blob', async () => {
    const location = await registry.begin('team/app')
    const url = `${location}?digest=${BLOB.digest}`
    const answer = await registry.ask(url, { method: 'PUT', body: body(BLOB.bytes) })
    expect(answer.status).toBe(201)
    expect(await isStored()).toBe(true)
  })

  it('a streamed PATCH of unknown length, then an empty PUT, stores the blob', async () => {
    const location = await registry.begin('team/app')
    const stream = Readable.toWeb(Readable.from(pieces(BLOB.bytes, 10_000))) as ReadableStream
    const init = { method: 'PATCH', body: stream, duplex: 'half' } as RequestInit
    const patched = await registry.ask(location, init)
    expect(patched.status).toBe(202)
    expect(patched.headers.get('range')).toBe(`0-${BLOB.bytes.length - 1}`)
    const put = await registry.ask(`${location}?digest=${BLOB.digest}`, { method: 'PUT' })
    expect(put.status).toBe(201)
    expect(await isStored()).toBe(true)
  })

  it('chunks with Content-Range, the last one in the PUT, store the blob', async () => {
    const location = await registry.begin('team/app')
    for (const [start, end] of [
      [0, 1_000_000],
      [1_000_000, 2_000_000],
    ] as const) {
      const answer = await registry.ask(location, {
        method: 'PATCH',
        headers: { 'content-range': `${start}-${end - 1}` },
        body: body(BLOB.bytes.subarray(start, end)),
      })
      expect(answer.status).toBe(202)
      expect(answer.headers.get('range')).toBe(`0-${end - 1}`)
    }
    const put = await registry.ask(`${location}?digest=${BLOB.digest}`, {
      method: 'PUT',
      headers: { 'content-range': `2000000-${BLOB.bytes.length - 1}` },
      body: body(BLOB.bytes.subarray(2_000_000)),
    })
    expect(put.status).toBe(201)
    expect(await isStored()).toBe(true)
  })

  it.each(['50-149', '1-100', '0-50', 'garbage', 'bytes 0-', '100-0'])(
    'a chunk of 100 bytes said to be %s at offset 0 is 416 and changes nothing',
    async (range) => {
      const location = await registry.begin('team/app')
      const answer = await registry.ask(location, {
        method: 'PATCH',
        headers: { 'content-range': range },
        body: body(BLOB.bytes.subarray(0, 100)),
      })
      expect(answer.status).toBe(416)
      expect((await errorOf(answer)).code).toBe('BLOB_UPLOAD_INVALID')
      const status = await registry.ask(location)
      expect([status.status, status.headers.get('range')]).toEqual([204, '0-0'])
    },
  )

  it('GET on a session says how much came and where it goes on', async () => {
    const location = await registry.begin('team/app')
    await registry.ask(location, { method: 'PATCH', body: body(BLOB.bytes.subarray(0, 777)) })
    const answer = await registry.ask(location)
    expect(answer.status).toBe(204)
    expect(answer.headers.get('range')).toBe('0-776')
    expect(answer.headers.get('location')).toBe(location)
  })

  it('a wrong digest is DIGEST_INVALID, nothing is stored, the session is over', async () => {
    const location = await registry.begin('team/app')
    const url = `${location}?digest=${BLOB.digest}`
    const answer = await registry.ask(url, { method: 'PUT', body: body(BLOB.bytes.subarray(1)) })
    expect(answer.status).toBe(400)
    const { code, message } = await errorOf(answer)
    expect(code).toBe('DIGEST_INVALID')
    expect(message).toContain(digestOf(BLOB.bytes.subarray(1)))
    expect(await isStored()).toBe(false)
    expect((await registry.ask(location)).status).toBe(404)
    expect(await registry.blobs.stages()).toEqual([])
  })

  it.each(['', '?digest=', '?digest=sha256:short', '?digest=md5:00', '?digest=latest'])(
    'a PUT with %j for its digest is DIGEST_INVALID and the session stays',
    async (query) => {
      const location = await registry.begin('team/app')
      const answer = await registry.ask(`${location}${query}`, { method: 'PUT' })
      expect([answer.status, (await errorOf(answer)).code]).toEqual([400, 'DIGEST_INVALID'])
      expect((await registry.ask(location)).status).toBe(204)
    },
  )

  it('DELETE ends a session', async () => {
    const location = await registry.begin('team/app')
    expect((await registry.ask(location, { method: 'DELETE' })).status).toBe(204)
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const answer = await registry.ask(location, { method })
      expect(answer.status).toBe(404)
      expect((await errorOf(answer)).code).toBe('BLOB_UPLOAD_UNKNOWN')
    }
  })

  it('a session of one repository is unknown to another', async () => {
    const location = await registry.begin('team/app')
    const other = location.replace('team/app', 'team/other')
    expect((await registry.ask(other)).status).toBe(404)
    expect((await registry.ask(other, { method: 'PATCH', body: 'x' })).status).toBe(404)
  })

  it.each([BLOB, makeBlob(new Uint8Array())])(
    'a sha512 digest is served as pushed',
    async (blob) => {
      const digest = digestOf(blob.bytes, 'sha512')
      await registry.pushBlob('team/app', { ...blob, digest })
      const answer = await registry.ask(`/v2/team/app/blobs/${digest}`)
      expect(answer.status).toBe(200)
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), blob.bytes)).toBe(0)
    },
  )

  it('twelve uploads at once, four of one blob, all end well', async () => {
    const blobs = Array.from({ length: 12 }, (_, at) =>
      makeBlob(bytesOf(`many ${Math.max(3, at)}`, 400_000 + Math.max(3, at))),
    )
    await Promise.all(blobs.map((blob, at) => registry.pushBlob(`team/app${at}`, blob)))
    for (const [at, blob] of blobs.entries())
      expect(await isStored(`team/app${at}`, blob)).toBe(true)
    expect(await registry.blobs.stages()).toEqual([])
  })

  it('of two chunks at once for one session, one is refused and none is lost', async () => {
    const location = await registry.begin('team/app')
    const socket = connect(registry.port, '127.0.0.1')
    socket.write(
      `PATCH ${location} HTTP/1.1\r\nHost: r\r\nContent-Length: ${BLOB.bytes.length}\r\n\r\n`,
    )
    socket.write(BLOB.bytes.subarray(0, 2_000_000))
    await eventually(async () => (await registry.blobs.stages()).length === 1)
    const second = await registry.ask(location, { method: 'PATCH', body: 'other' })
    expect(second.status).toBe(409)
    expect((await errorOf(second)).code).toBe('BLOB_UPLOAD_INVALID')
    const answered = new Promise((resolve) => socket.once('data', resolve))
    socket.write(BLOB.bytes.subarray(2_000_000))
    expect(String(await answered)).toContain('202 Accepted')
    socket.destroy()
    const put = await registry.ask(`${location}?digest=${BLOB.digest}`, { method: 'PUT' })
    expect(put.status).toBe(201)
  })

  it('a body that is cut midway leaves what arrived, and the upload goes on from there', async () => {
    const location = await registry.begin('team/app')
    const socket = connect(registry.port, '127.0.0.1')
    socket.write(
      `PATCH ${location} HTTP/1.1\r\nHost: r\r\nContent-Length: ${BLOB.bytes.length}\r\n\r\n`,
    )
    await new Promise<void>((resolve) =>
      socket.write(BLOB.bytes.subarray(0, 1_500_000), () => resolve()),
    )
    await eventually(async () => ((await registry.blobs.stages())[0]?.size ?? 0) > 0)
    socket.destroy()
    const offset = await eventually(async () => {
      const answer = await registry.ask(location, {
        method: 'PATCH',
        headers: { 'content-range': '999999999-999999999' },
        body: 'x',
      })
      // 409 while the node has not noticed yet; 416 once the session waits again.
      if (answer.status !== 416) return undefined
      const { headers } = await registry.ask(location)
      return Number(headers.get('range')?.split('-')[1]) + 1
    })
    expect(offset).toBeGreaterThanOrEqual(1_048_576)
    expect(offset).toBeLessThanOrEqual(1_500_000)
    const put = await registry.ask(`${location}?digest=${BLOB.digest}`, {
      method: 'PUT',
      body: body(BLOB.bytes.subarray(offset)),
    })
    expect(put.status).toBe(201)
    expect(await isStored()).toBe(true)
    expect(registry.logged).toEqual([])
  })

  it('a whole upload that is cut midway leaves nothing', async () => {
    const socket = connect(registry.port, '127.0.0.1')
    socket.write(
      `POST ${UPLOADS}?digest=${BLOB.digest} HTTP/1.1\r\nHost: r\r\nContent-Length: ${BLOB.bytes.length}\r\n\r\n`,
    )
    socket.write(BLOB.bytes.subarray(0, 1_500_000))
    // No session: nobody could go on with it, so nobody may find it.
    const staged = () => readdir(join(registry.directory, 'entrepot', 'staging'))
    await eventually(async () => (await staged()).length === 1)
    expect(await registry.blobs.stages()).toEqual([])
    socket.destroy()
    await eventually(async () => (await staged()).length === 0)
    expect(registry.logged).toEqual([])
  })

  it('an upload goes on after a restart of the node', async () => {
    const location = await registry.begin('team/app')
    await registry.ask(location, { method: 'PATCH', body: body(BLOB.bytes.subarray(0, 2_000_000)) })
    const { directory, backend } = registry
    await using restarted = await startRegistry({ directory, backend })
    expect((await restarted.ask(location)).headers.get('range')).toBe('0-1999999')
    const put = await restarted.ask(`${location}?digest=${BLOB.digest}`, {
      method: 'PUT',
      headers: { 'content-range': `2000000-${BLOB.bytes.length - 1}` },
      body: body(BLOB.bytes.subarray(2_000_000)),
    })
    expect(put.status).toBe(201)
    const pulled = await restarted.ask(`/v2/team/app/blobs/${BLOB.digest}`)
    expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(BLOB.digest)
  })
})

describe('mounts', () => {
  const IMAGE = makeImage('mounted')
  const [CONFIG] = IMAGE.blobs
  const mount = (registry: Registry, query: string, init: RequestInit = {}) =>
    registry.ask(`/v2/team/new/blobs/uploads/?mount=${CONFIG?.digest}${query}`, {
      method: 'POST',
      ...init,
    })

  async function withImage(use: (registry: Registry) => Promise<void>) {
    await using registry = await startRegistry()
    for (const blob of IMAGE.blobs) await registry.pushBlob('team/app', blob)
    await registry.putManifest('team/app', 'v1', IMAGE)
    await use(registry)
  }

  it.each(['&from=team/app', ''])('a blob of a readable repository is mounted: %j', (query) =>
    withImage(async (registry) => {
      const answer = await mount(registry, query)
      expect(answer.status).toBe(201)
      expect(answer.headers.get('location')).toBe(`/v2/team/new/blobs/${CONFIG?.digest}`)
      const head = await registry.ask(`/v2/team/new/blobs/${CONFIG?.digest}`, { method: 'HEAD' })
      expect(head.status).toBe(200)
    }),
  )

  it.each(['&from=team/other', '&from=..', '&from=team/App'])(
    'what is not there opens a session instead: %j',
    (query) =>
      withImage(async (registry) => {
        const answer = await mount(registry, query)
        expect(answer.status).toBe(202)
        expect(answer.headers.get('location')).toContain('/v2/team/new/blobs/uploads/')
      }),
  )

  it('a blob on disk that no repository has is not mounted', () =>
    withImage(async (registry) => {
      const orphan = makeBlob(Buffer.from('fetched, not yet shown'))
      await registry.blobs.put(orphan.digest, orphan.bytes)
      const path = `/v2/team/new/blobs/uploads/?mount=${orphan.digest}`
      expect((await registry.ask(path, { method: 'POST' })).status).toBe(202)
    }))

  it('a digest that is none opens a session', () =>
    withImage(async (registry) => {
      const path = '/v2/team/new/blobs/uploads/?mount=garbage&from=team/app'
      expect((await registry.ask(path, { method: 'POST' })).status).toBe(202)
    }))
})

describe('writing where one may not', () => {
  const REQUESTS = [
    ['POST', UPLOADS],
    ['PATCH', `${UPLOADS}0f8fad5b-d9cd-469f-a165-70867728950e`],
    ['PUT', `${UPLOADS}0f8fad5b-d9cd-469f-a165-70867728950e?digest=${BLOB.digest}`],
    ['PUT', '/v2/team/app/manifests/v1'],
    ['DELETE', '/v2/team/app/manifests/v1'],
    ['DELETE', `/v2/team/app/blobs/${BLOB.digest}`],
  ] as const

  it.each(REQUESTS)('%s %s is 403 with the names of the writers', async (method, path) => {
    await using registry = await startRegistry({ refusal: (name) => `${name}: push to hub` })
    const answer = await registry.ask(path, {
      method,
      ...(method === 'DELETE' ? {} : { body: 'x' }),
    })
    expect(answer.status).toBe(403)
    expect(await errorOf(answer)).toMatchObject({
      code: 'DENIED',
      message: 'team/app: push to hub',
    })
    expect(await readdir(join(registry.directory, 'entrepot/staging'))).toEqual([])
  })

  it.each(REQUESTS)('%s %s without an account is 401 with a challenge', async (method, path) => {
    await using registry = await startRegistry({ anonymous: 'pull' })
    const answer = await registry.ask(path, { method })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /)
    expect((await errorOf(answer)).code).toBe('UNAUTHORIZED')
  })

  it.each(REQUESTS)('%s %s by a node of the mesh is 403', async (method, path) => {
    await using registry = await startRegistry({ edgeReads: ['team/app'] })
    const authorization = `Bearer ${registry.access.issueToken(EDGE)}`
    const answer = await registry.ask(path, { method, headers: { authorization } })
    expect(answer.status).toBe(403)
  })
})

function* pieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
