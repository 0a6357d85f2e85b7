import { truncate } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  DOCKER_MANIFEST,
  makeBlob,
  makeDockerImage,
  makeImage,
  makeIndex,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestManifest,
} from '../../helpers/images.ts'
import { errorOf, type Registry, startRegistry } from './registry-rig.ts'

const IMAGE = makeImage('manifest')
const MIB = 1024 * 1024
const at = (reference: string) => `/v2/team/app/manifests/${reference}`

describe('manifests', () => {
  let registry: Registry

  beforeEach(async () => {
    registry = await startRegistry()
  })
  afterEach(() => registry[Symbol.asyncDispose]())

  async function push(image: TestManifest, reference: string): Promise<Response> {
    for (const blob of image.blobs) await registry.pushBlob('team/app', blob)
    return registry.putManifest('team/app', reference, image)
  }

  it('a pushed manifest is served byte for byte by tag and by digest', async () => {
    const pushed = await push(IMAGE, 'v1')
    expect(pushed.status).toBe(201)
    expect(pushed.headers.get('location')).toBe(at(IMAGE.digest))
    expect(pushed.headers.get('docker-content-digest')).toBe(IMAGE.digest)
    for (const reference of ['v1', IMAGE.digest]) {
      const answer = await registry.ask(at(reference))
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe(OCI_MANIFEST)
      expect(answer.headers.get('docker-content-digest')).toBe(IMAGE.digest)
      expect(answer.headers.get('content-length')).toBe(String(IMAGE.bytes.length))
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), IMAGE.bytes)).toBe(0)
      const head = await registry.ask(at(reference), { method: 'HEAD' })
      expect(Object.fromEntries(head.headers)).toMatchObject({
        'content-type': OCI_MANIFEST,
        'content-length': String(IMAGE.bytes.length),
        'docker-content-digest': IMAGE.digest,
      })
      expect(await head.text()).toBe('')
    }
  })

  it('by digest it may be kept for ever, by tag it must be asked for again', async () => {
    await push(IMAGE, 'v1')
    const byDigest = await registry.ask(at(IMAGE.digest))
    expect(byDigest.headers.get('cache-control')).toContain('immutable')
    const byTag = await registry.ask(at('v1'))
    expect(byTag.headers.get('cache-control')).toBe('no-cache')
    const headers = { 'if-none-match': byTag.headers.get('etag') ?? '' }
    expect((await registry.ask(at('v1'), { headers })).status).toBe(304)
  })

  it('fields and white space that nobody knows stay in the bytes', async () => {
    const document = JSON.parse(Buffer.from(IMAGE.bytes).toString())
    const bytes = Buffer.from(
      JSON.stringify({ ...document, 'x-unknown': [1, { a: 'ü' }] }, null, 3),
    )
    const image = { ...IMAGE, ...makeBlob(bytes, OCI_MANIFEST) }
    expect((await push(image, 'v1')).status).toBe(201)
    const answer = await registry.ask(at('v1'))
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0)
  })

  it('Docker images and indexes keep the type that they were pushed with', async () => {
    await push(makeDockerImage('docker'), 'docker')
    expect((await registry.ask(at('docker'))).headers.get('content-type')).toBe(DOCKER_MANIFEST)
    await push(IMAGE, IMAGE.digest)
    await push(makeIndex([IMAGE]), 'index')
    expect((await registry.ask(at('index'))).headers.get('content-type')).toBe(OCI_INDEX)
  })

  it('a sha512 reference is verified and answered with sha512', async () => {
    const digest = digestOf(IMAGE.bytes, 'sha512')
    const pushed = await push(IMAGE, digest)
    expect(pushed.status).toBe(201)
    expect(pushed.headers.get('docker-content-digest')).toBe(digest)
    expect((await registry.ask(at(digest))).status).toBe(200)
  })

  it('a push with a subject is answered with OCI-Subject, also while the subject is missing', async () => {
    const signature = makeImage('signature', { subject: IMAGE })
    const pushed = await push(signature, signature.digest)
    expect(pushed.status).toBe(201)
    expect(pushed.headers.get('oci-subject')).toBe(IMAGE.digest)
  })

  it('a manifest whose blobs are missing is refused, and says which', async () => {
    const answer = await registry.putManifest('team/app', 'v1', IMAGE)
    expect(answer.status).toBe(404)
    const { code, message } = await errorOf(answer)
    expect(code).toBe('MANIFEST_BLOB_UNKNOWN')
    expect(message).toContain(IMAGE.blobs[0]?.digest)
    expect((await registry.ask(at('v1'))).status).toBe(404)
  })

  it('bytes of another digest than the reference are DIGEST_INVALID', async () => {
    const answer = await push(IMAGE, `sha256:${'0'.repeat(64)}`)
    expect([answer.status, (await errorOf(answer)).code]).toEqual([400, 'DIGEST_INVALID'])
  })

  it.each(['', 'null', '{}', '{"schemaVersion":1}', 'not json', '{"schemaVersion":2}', '\xff\xfe'])(
    'what is no manifest is MANIFEST_INVALID: %j',
    async (text) => {
      const answer = await registry.ask(at('v1'), {
        method: 'PUT',
        headers: { 'content-type': OCI_MANIFEST },
        body: Buffer.from(text, 'latin1'),
      })
      expect([answer.status, (await errorOf(answer)).code]).toEqual([400, 'MANIFEST_INVALID'])
    },
  )

  it('a manifest just under 4 MiB is taken', async () => {
    const document = JSON.parse(Buffer.from(IMAGE.bytes).toString())
    const annotations = { filler: 'x'.repeat(4 * MIB - 2_000) }
    const bytes = Buffer.from(JSON.stringify({ ...document, annotations }))
    expect(bytes.length).toBeLessThanOrEqual(4 * MIB)
    expect((await push({ ...IMAGE, ...makeBlob(bytes, OCI_MANIFEST) }, 'v1')).status).toBe(201)
  })

  it('a manifest over 4 MiB is 413, whether its length is declared or not', async () => {
    const bytes = new Uint8Array(4 * MIB + 1).fill(32)
    const headers = { 'content-type': OCI_MANIFEST }
    const declared = await registry.ask(at('v1'), { method: 'PUT', headers, body: bytes })
    expect(declared.status).toBe(413)
    const stream = new Blob([bytes]).stream()
    const init = { method: 'PUT', headers, body: stream, duplex: 'half' } as RequestInit
    const streamed = await registry.ask(at('v1'), init)
    expect([streamed.status, (await errorOf(streamed)).code]).toEqual([413, 'MANIFEST_INVALID'])
  })

  it('a deleted tag is gone at once and its manifest stays', async () => {
    await push(IMAGE, 'v1')
    await push(IMAGE, 'v2')
    expect((await registry.ask(at('v1'), { method: 'DELETE' })).status).toBe(202)
    expect((await registry.ask(at('v1'))).status).toBe(404)
    expect((await registry.ask(at('v2'))).status).toBe(200)
    expect((await registry.ask(at(IMAGE.digest))).status).toBe(200)
    expect((await registry.ask(at('v1'), { method: 'DELETE' })).status).toBe(404)
  })

  it('a deleted manifest is gone at once, with the tags that show it', async () => {
    await push(IMAGE, 'v1')
    expect((await registry.ask(at(IMAGE.digest), { method: 'DELETE' })).status).toBe(202)
    expect((await registry.ask(at(IMAGE.digest))).status).toBe(404)
    expect((await registry.ask(at('v1'))).status).toBe(404)
  })

  it('a blob that a manifest names is not deleted', async () => {
    await push(IMAGE, 'v1')
    const path = `/v2/team/app/blobs/${IMAGE.blobs[0]?.digest}`
    const answer = await registry.ask(path, { method: 'DELETE' })
    expect([answer.status, (await errorOf(answer)).code]).toEqual([403, 'DENIED'])
    expect((await registry.ask(path)).status).toBe(200)
  })

  it('a manifest whose file was cut short is as good as absent', async () => {
    await push(IMAGE, 'v1')
    await truncate(registry.blobs.pathOf(IMAGE.digest) ?? '', 10)
    expect((await registry.ask(at('v1'))).status).toBe(404)
  })

  it.each([
    [at('absent'), 404, 'NAME_UNKNOWN'],
    [at('.INVALID_MANIFEST_NAME'), 404, 'MANIFEST_UNKNOWN'],
    [at('sha256:short'), 400, 'DIGEST_INVALID'],
    ['/v2/Team/app/manifests/v1', 400, 'NAME_INVALID'],
  ])('%s is answered %i', async (path, status, code) => {
    const answer = await registry.ask(path)
    expect([answer.status, (await errorOf(answer)).code]).toEqual([status, code])
    const head = await registry.ask(path, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([status, ''])
  })

  it('an absent tag of a repository that exists is MANIFEST_UNKNOWN', async () => {
    await push(IMAGE, 'v1')
    expect((await errorOf(await registry.ask(at('v2')))).code).toBe('MANIFEST_UNKNOWN')
  })
})
