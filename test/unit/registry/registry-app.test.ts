import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { EntrepotError } from '../../../src/lib/errors.ts'
import type { BlobStore, Stage } from '../../../src/storage/blob-store.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'
import { errorOf, type Registry, startRegistry } from './registry-rig.ts'

const BLOB = makeBlob(bytesOf('app', 3_000_000))
const UPLOADS = '/v2/team/app/blobs/uploads/'

/** Sends a request line as it is: clients of ours would mend the path. @returns status and body. */
async function askRaw({ port }: Registry, method: string, target: string) {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${method} ${target} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n`)
  const text = Buffer.concat(await socket.toArray()).toString()
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), body, text }
}

describe('the registry', () => {
  it.each(['/v2/', '/v2'])('%s says that this is one', async (path) => {
    await using registry = await startRegistry({ store: 'memory' })
    const answer = await registry.ask(path)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('docker-distribution-api-version')).toBe('registry/2.0')
    expect(await answer.json()).toEqual({})
  })

  it('where clients may nothing, everything is 401 with a challenge', async () => {
    await using registry = await startRegistry({ store: 'memory', anonymous: 'none' })
    for (const path of ['/v2/', '/v2/_catalog', '/v2/a/tags/list', '/v2/a/manifests/v1']) {
      const answer = await registry.ask(path)
      expect([answer.status, (await errorOf(answer)).code]).toEqual([401, 'UNAUTHORIZED'])
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm=/)
    }
  })

  it.each(['Basic dXNlcjpwYXNz', 'Bearer nobody'])(
    'credentials that nobody gave out are 401, also where anyone may read: %s',
    async (authorization) => {
      await using registry = await startRegistry({ store: 'memory' })
      const answer = await registry.ask('/v2/', { headers: { authorization } })
      expect(answer.status).toBe(401)
    },
  )

  it.each(['/v2/nothing', '/v2/a/unknown/x', '/v2/a/tags'])(
    'an unknown route is 404 in JSON: %s',
    async (path) => {
      await using registry = await startRegistry({ store: 'memory' })
      const answer = await registry.ask(path)
      expect(answer.status).toBe(404)
      expect((await errorOf(answer)).code).toBe('NAME_UNKNOWN')
    },
  )

  it.each([
    ['POST', '/v2/_catalog'],
    ['DELETE', '/v2/a/tags/list'],
    ['PUT', `/v2/a/blobs/${BLOB.digest}`],
    ['POST', '/v2/a/manifests/v1'],
    ['GET', '/v2/a/blobs/uploads/'],
  ])('%s %s is UNSUPPORTED', async (method, path) => {
    await using registry = await startRegistry({ store: 'memory' })
    const answer = await registry.ask(path, { method })
    expect([answer.status, (await errorOf(answer)).code]).toEqual([405, 'UNSUPPORTED'])
  })

  it.each([
    '/v2/../../../etc/passwd/manifests/v1',
    '/v2/a/../../b/manifests/v1',
    '/v2/a/%2e%2e/%2e%2e/b/manifests/v1',
    '/v2/a/../b/manifests/v1',
    '/v2/a/%2e%2e/b/manifests/v1',
    '/v2/a/..%2f..%2fb/manifests/v1',
    '/v2/a//b/manifests/v1',
    '/v2//manifests/v1',
    '/v2/a%00b/manifests/v1',
    '/v2/A/manifests/v1',
    `/v2/${'a'.repeat(300)}/manifests/v1`,
    '/v2/a%zz/manifests/v1',
  ])('a name that is none is refused and never touches the disk: %s', async (path) => {
    const touched: string[] = []
    const noting = (blobs: BlobStore): BlobStore =>
      new Proxy(blobs, {
        get: (target, property, receiver) => {
          touched.push(String(property))
          return Reflect.get(target, property, receiver)
        },
      })
    await using registry = await startRegistry({ wrap: noting })
    touched.length = 0
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { status, body } = await askRaw(registry, method, path)
      expect(status).toBe(400)
      expect(body).toContain('NAME_INVALID')
    }
    expect(touched).toEqual([])
    expect(await readdir(`${registry.directory}/docker/registry/v2`)).toEqual(['blobs'])
  })

  it('a request line with the whole URL is understood', async () => {
    await using registry = await startRegistry({ store: 'memory' })
    expect((await askRaw(registry, 'GET', 'http://r/v2/')).status).toBe(200)
    expect((await askRaw(registry, 'GET', 'http://r/v2/a/tags/list')).status).toBe(404)
    expect((await askRaw(registry, 'GET', 'http://r/v2/A/tags/list')).status).toBe(400)
  })

  it('without a socket the app answers too', async () => {
    await using registry = await startRegistry({ store: 'memory' })
    await registry.pushBlob('team/app', BLOB)
    const answer = await registry.app.request(`/v2/team/app/blobs/${BLOB.digest}`)
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), BLOB.bytes)).toBe(0)
    const put = await registry.app.request(`${UPLOADS}?digest=${BLOB.digest}`, {
      method: 'POST',
      body: Uint8Array.from(BLOB.bytes),
    })
    expect(put.status).toBe(201)
  })
})

describe('faults', () => {
  /** Every stage fails as a full disk does after its first MiB, while `isFull`. */
  function filling(state: { isFull: boolean; code: string }) {
    return (blobs: BlobStore): BlobStore => ({
      ...blobs,
      stage: async (name) => {
        const stage = await blobs.stage(name)
        const append: Stage['append'] = async (source, options) => {
          async function* limited() {
            let passed = 0
            for await (const chunk of source) {
              passed += chunk.length
              if (state.isFull && passed > 1024 * 1024) {
                throw Object.assign(new Error(`${state.code}: write`), { code: state.code })
              }
              yield chunk
            }
          }
          return stage.append(limited(), options)
        }
        return new Proxy(stage, {
          get: (target, property) =>
            property === 'append' ? append : Reflect.get(target, property, target),
        })
      },
    })
  }

  it.each([
    ['ENOSPC', 507, 'disk of this node is full'],
    ['EDQUOT', 507, 'quota'],
    ['EROFS', 503, 'read-only'],
    ['EIO', 503, 'fails'],
    ['EMFILE', 503, 'too many files'],
    ['ENFILE', 503, 'too many files'],
    ['INDEX_WRITE_FAILED', 503, 'cannot be written'],
    ['INDEX_REOPENING', 503, 'being opened again'],
  ])(
    '%s in the middle of a chunk is %i with a message, and the upload can go on',
    async (code, status, text) => {
      const state = { isFull: true, code }
      await using registry = await startRegistry({ wrap: filling(state) })
      const location = await registry.begin('team/app')
      const refused = await registry.ask(location, {
        method: 'PATCH',
        body: Uint8Array.from(BLOB.bytes),
      })
      expect(refused.status).toBe(status)
      expect(refused.headers.has('retry-after')).toBe(status === 503)
      expect((await errorOf(refused)).message).toContain(text)
      expect(registry.logged).toMatchObject([{ level: 'error', message: 'disk fault' }])
      state.isFull = false
      const offset = Number((await registry.ask(location)).headers.get('range')?.split('-')[1]) + 1
      const put = await registry.ask(`${location}?digest=${BLOB.digest}`, {
        method: 'PUT',
        body: Uint8Array.from(BLOB.bytes.subarray(offset)),
      })
      expect(put.status).toBe(201)
    },
  )

  it('an unexpected fault is 500 with an id that stands in the log, and nothing else', async () => {
    const broken = (blobs: BlobStore): BlobStore => ({
      ...blobs,
      stage: async () => {
        throw new EntrepotError('SECRET', 'the password is swordfish')
      },
    })
    await using registry = await startRegistry({ wrap: broken })
    const answer = await registry.ask(`${UPLOADS}?digest=${BLOB.digest}`, {
      method: 'POST',
      body: 'x',
    })
    expect(answer.status).toBe(500)
    const body = (await answer.json()) as { requestId: string }
    expect(Object.keys(body)).toEqual(['requestId'])
    expect(registry.logged).toMatchObject([
      { level: 'error', message: 'request failed', fields: { requestId: body.requestId } },
    ])
  })
})
