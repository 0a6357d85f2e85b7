/** What the main branch of the specification adds to 1.1: several tags in one push, sparse content, pages of referrers. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { bytesOf, makeImage, makeIndex } from '../../helpers/images.ts'
import { push } from '../../helpers/storage-rig.ts'
import { errorOf, type Registry, type RegistryOptions, startRegistry } from './registry-rig.ts'

const IMAGE = makeImage('with many names')
const REPO = 'team/app'

function withRegistry(options: RegistryOptions = {}) {
  let registry: Registry
  beforeEach(async () => {
    registry = await startRegistry({ store: 'memory', ...options })
  })
  afterEach(() => registry[Symbol.asyncDispose]())
  return () => registry
}

describe('several tags in one push', () => {
  const registry = withRegistry()
  const put = async (reference: string, query: string) => {
    for (const blob of IMAGE.blobs) await registry().pushBlob(REPO, blob)
    return registry().putManifest(REPO, `${reference}?${query}`, IMAGE)
  }
  const tags = async () => {
    const answer = await registry().ask(`/v2/${REPO}/tags/list`)
    return ((await answer.json()) as { tags?: string[] }).tags ?? []
  }

  it('all show the manifest, and the answer names them', async () => {
    const answer = await put(IMAGE.digest, 'tag=v1&tag=v1.2&tag=latest&tag=v1')
    expect(answer.status).toBe(201)
    expect(answer.headers.get('oci-tag')).toBe('v1, v1.2, latest')
    expect(await tags()).toEqual(['latest', 'v1', 'v1.2'])
    for (const reference of ['v1', 'v1.2', 'latest', IMAGE.digest]) {
      const found = await registry().ask(`/v2/${REPO}/manifests/${reference}`, { method: 'HEAD' })
      expect(found.headers.get('docker-content-digest')).toBe(IMAGE.digest)
    }
  })

  it('also by a sha512 digest', async () => {
    const digest = digestOf(IMAGE.bytes, 'sha512')
    expect((await put(digest, 'tag=v1')).status).toBe(201)
    const found = await registry().ask(`/v2/${REPO}/manifests/v1`)
    expect(found.headers.get('docker-content-digest')).toBe(digest)
  })

  it.each([
    ['a tag that is none', IMAGE.digest, 'tag=v1&tag=-no', 400],
    [
      'more than a hundred',
      IMAGE.digest,
      Array.from({ length: 101 }, (_, at) => `tag=t${at}`).join('&'),
      414,
    ],
    ['a push by tag', 'v1', 'tag=v2', 400],
  ])('%s is refused, and nothing is tagged', async (_, reference, query, status) => {
    const answer = await put(reference, query)
    expect(answer.status).toBe(status)
    expect((await errorOf(answer)).code).toBe('MANIFEST_INVALID')
    expect((await registry().ask(`/v2/${REPO}/tags/list`)).status).toBe(404)
  })
})

describe('sparse content', () => {
  const [config, ...layers] = IMAGE.blobs
  const refusing = withRegistry()
  const accepting = withRegistry({ sparse: 'accept' })

  async function pushWithoutLayers(registry: Registry) {
    if (config !== undefined) await registry.pushBlob(REPO, config)
    return registry.putManifest(REPO, 'v1', IMAGE)
  }

  it('is refused with the names of what is missing, unless the node takes it', async () => {
    const answer = await pushWithoutLayers(refusing())
    expect(answer.status).toBe(404)
    expect(await errorOf(answer)).toMatchObject({
      code: 'MANIFEST_BLOB_UNKNOWN',
      detail: { missing: layers.map(({ digest }) => digest) },
    })
  })

  it('is served as far as it is there, and claims to be whole only once it is', async () => {
    expect((await pushWithoutLayers(accepting())).status).toBe(201)
    const status = async (path: string) => (await accepting().ask(`/v2/${REPO}/${path}`)).status
    expect(await status('manifests/v1')).toBe(200)
    expect(await status(`blobs/${config?.digest}`)).toBe(200)
    expect(await status(`blobs/${layers[0]?.digest}`)).toBe(404)
    const isWhole = () => accepting().content.isComplete(REPO as never, IMAGE.digest)
    expect(isWhole()).toBe(false)
    for (const layer of layers) await accepting().pushBlob(REPO, layer)
    expect(await status(`blobs/${layers[0]?.digest}`)).toBe(200)
    expect(isWhole()).toBe(true)
    expect((await accepting().putManifest(REPO, 'v1', IMAGE)).status).toBe(201)
  })

  it('an index may lack a child, and so does what names it', async () => {
    await push(accepting(), REPO, IMAGE.digest, IMAGE)
    const index = makeIndex([IMAGE, makeImage('never pushed')])
    expect((await accepting().putManifest(REPO, 'multi', index)).status).toBe(201)
    expect(accepting().content.isComplete(REPO as never, index.digest)).toBe(false)
  })
})

describe('pages of referrers', () => {
  const registry = withRegistry()
  const subject = makeImage('signed')
  const path = `/v2/${REPO}/referrers/${subject.digest}`

  async function pages(first: string) {
    const found: (readonly string[])[] = []
    for (let next: string | undefined = first; next !== undefined; ) {
      const answer: Response = await registry().ask(next)
      const { manifests } = (await answer.json()) as { manifests: { digest: string }[] }
      found.push(manifests.map(({ digest }) => digest))
      next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
    }
    return found
  }

  it('come in the order of digests, each referrer once, filtered before they are cut', async () => {
    await push(registry(), REPO, 'v1', subject)
    const signatures = Array.from({ length: 5 }, (_, at) =>
      makeImage(`signature ${at}`, { subject }),
    )
    for (const signature of signatures) await push(registry(), REPO, signature.digest, signature)
    const digests = signatures.map(({ digest }) => digest).sort()
    expect(await pages(path)).toEqual([digests])
    expect(await pages(`${path}?n=2`)).toEqual([
      digests.slice(0, 2),
      digests.slice(2, 4),
      digests.slice(4),
    ])
    const type = encodeURIComponent('application/vnd.oci.image.config.v1+json')
    expect(await pages(`${path}?n=3&artifactType=${type}`)).toEqual([
      digests.slice(0, 3),
      digests.slice(3),
    ])
    expect(await pages(`${path}?artifactType=none`)).toEqual([[]])
  })

  it('stay within the size of an index, whatever annotations they carry', async () => {
    await push(registry(), REPO, 'v1', subject)
    for (const at of [1, 2, 3]) {
      const annotations = { text: 'a'.repeat(1_900_000) }
      const signature = makeImage(`long ${at}`, { subject, annotations })
      await push(registry(), REPO, signature.digest, signature)
    }
    expect((await pages(path)).map((page) => page.length)).toEqual([2, 1])
  })
})

describe('a client that uses the node as a mirror', () => {
  const registry = withRegistry({ ownNames: ['registry.example.com'] })
  const blob = { digest: digestOf(bytesOf('mirrored', 10)), bytes: bytesOf('mirrored', 10) }

  it('is served what it asks of this mesh, under any of its names', async () => {
    await push(registry(), REPO, 'v1', IMAGE)
    for (const ns of [
      'registry.example.com',
      'Registry.Example.com',
      `127.0.0.1:${registry().port}`,
    ]) {
      expect((await registry().ask(`/v2/${REPO}/manifests/v1?ns=${ns}`)).status).toBe(200)
    }
  })

  it('gets nothing of another registry, and puts nothing there', async () => {
    await push(registry(), REPO, 'v1', IMAGE)
    const answer = await registry().ask(`/v2/${REPO}/manifests/v1?ns=docker.io`)
    expect([answer.status, (await errorOf(answer)).code]).toEqual([404, 'NAME_UNKNOWN'])
    const upload = `/v2/${REPO}/blobs/uploads/?ns=docker.io&digest=${blob.digest}`
    const pushed = await registry().ask(upload, {
      method: 'POST',
      body: Uint8Array.from(blob.bytes),
    })
    expect(pushed.status).toBe(404)
  })
})

describe('a mount without a source', () => {
  const registry = withRegistry()

  it('finds the blob in any repository, also in one that has no manifest yet', async () => {
    const [, layer] = IMAGE.blobs
    if (layer === undefined) throw new Error('an image has layers')
    const before = makeImage('sorted before')
    await push(registry(), 'a', 'v1', before)
    await registry().pushBlob('only/blobs', layer)
    const mount = (digest: string) =>
      registry().ask(`/v2/z/app/blobs/uploads/?mount=${digest}`, { method: 'POST' })
    expect((await mount(layer.digest)).status).toBe(201)
    expect((await registry().ask(`/v2/z/app/blobs/${layer.digest}`)).status).toBe(200)
    expect((await mount(digestOf(bytesOf('nowhere', 5)))).status).toBe(202)
  })
})
