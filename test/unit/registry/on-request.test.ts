/** What the routes do with what comes when it is asked for. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Tag } from '../../../src/oci/name.ts'
import type { OnRequest } from '../../../src/registry/request.ts'
import type { ReferrerDescriptor } from '../../../src/storage/content.ts'
import { makeImage, makeIndex, type TestManifest } from '../../helpers/images.ts'
import { EDGE, type Registry, startRegistry } from './registry-rig.ts'

const REPO = 'team/app'
const image = makeImage('image')

/** Whatever is asked for comes: the image. */
function createSource(tags: readonly string[] = [], about: readonly ReferrerDescriptor[] = []) {
  const asked: string[] = []
  const onRequest: OnRequest = {
    manifest: async (_repository, reference, _asking, { isLook = false } = {}) => {
      asked.push(`${isLook ? 'look' : 'get'} ${reference}`)
      return { ...image, root: makeIndex([image]).digest }
    },
    tags: async (_repository, { after = '', limit }) =>
      tags.filter((tag) => tag > after).slice(0, limit) as Tag[],
    referrers: async () => about,
    blob: () => undefined,
  }
  return { asked, onRequest }
}

async function pushImage(node: Registry, reference: string, one: TestManifest): Promise<void> {
  for (const blob of one.blobs) await node.pushBlob(REPO, blob)
  expect((await node.putManifest(REPO, reference, one)).status).toBe(201)
}

describe('registry / on request', () => {
  const open: Registry[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map((node) => node[Symbol.asyncDispose]()))
  })
  async function start(options: Parameters<typeof startRegistry>[0]): Promise<Registry> {
    const node = await startRegistry({ store: 'memory', ...options })
    open.push(node)
    return node
  }

  test('a HEAD, and what a node asks whose client only looks, brings no image and counts as no pull', async () => {
    const { asked, onRequest } = createSource()
    const pulled: Digest[] = []
    const node = await start({ onRequest, pulled: (_repository, digest) => pulled.push(digest) })
    const path = `/v2/${REPO}/manifests/v1`
    const head = await node.ask(path, { method: 'HEAD' })
    expect(head.headers.get('docker-content-digest')).toBe(image.digest)
    await node.ask(path, { headers: { 'entrepot-look': 'true' } })
    expect(pulled).toEqual([])
    await node.ask(path)
    expect(asked).toEqual(['look v1', 'look v1', 'get v1'])
    expect(pulled).toEqual([image.digest])
  })

  test('a node hears which indexes have the manifest as a child, and nobody else does', async () => {
    const { onRequest } = createSource()
    const node = await start({ edgeReads: [REPO], onRequest })
    const headers = { authorization: `Bearer ${node.access.issueToken(EDGE)}` }
    const namedBy = async (digest: string, init?: RequestInit) =>
      (await node.ask(`/v2/${REPO}/manifests/${digest}`, init)).headers.get('entrepot-named-by')
    expect(await namedBy(image.digest, { headers })).toBe(makeIndex([image]).digest)
    const other = makeImage('other')
    const [inner, index] = [makeIndex([other]), makeIndex([makeIndex([other])])]
    await pushImage(node, other.digest, other)
    await pushImage(node, inner.digest, inner)
    await pushImage(node, 'v1', index)
    expect(await namedBy(other.digest, { headers })).toBe(`${inner.digest},${index.digest}`)
    expect(await namedBy(other.digest)).toBeNull()
    expect(await namedBy(index.digest, { headers })).toBeNull()
  })

  test('tags that may come stand among those that are here, in order and in pages', async () => {
    const { onRequest } = createSource(['a', 'v1', 'v3'])
    const node = await start({ onRequest })
    const list = async (query = '') => {
      const answer = await node.ask(`/v2/${REPO}/tags/list${query}`)
      return [((await answer.json()) as { tags?: string[] }).tags, answer.headers.get('link')]
    }
    expect(await list()).toEqual([['a', 'v1', 'v3'], null])
    for (const tag of ['v1', 'v2']) await pushImage(node, tag, image)
    expect(await list()).toEqual([['a', 'v1', 'v2', 'v3'], null])
    expect(await list('?n=2')).toEqual([['a', 'v1'], expect.stringContaining('last=v1')])
    expect(await list('?n=2&last=v1')).toEqual([['v2', 'v3'], null])
    expect(await list('?n=2&last=z')).toEqual([[], null])
    const nothing = await start({ onRequest: createSource().onRequest })
    expect((await nothing.ask(`/v2/${REPO}/tags/list`)).status).toBe(404)
    const elsewhere = await start({ onRequest })
    expect((await elsewhere.ask(`/v2/${REPO}/tags/list?last=z`)).status).toBe(200)
  })

  test('manifests about an image that may come stand among those that are here, each once', async () => {
    const held = ['1', '2', '3'].map((seed) => makeImage(`about ${seed}`, { subject: image }))
    const about = [...held.slice(1), makeImage('about 4', { subject: image })].map(
      ({ digest, mediaType, bytes }) => ({
        digest,
        mediaType,
        size: bytes.length,
        artifactType: 'a/b',
      }),
    )
    const node = await start({ onRequest: createSource([], about).onRequest })
    for (const one of held.slice(0, 2)) await pushImage(node, one.digest, one)
    const list = async (query = '') => {
      const answer = await node.ask(`/v2/${REPO}/referrers/${image.digest}${query}`)
      const { manifests } = (await answer.json()) as { manifests: ReferrerDescriptor[] }
      return manifests.map(({ digest }) => digest)
    }
    const all = [held[0], ...about]
      .map((one) => String(one?.digest))
      .toSorted((a, b) => (a < b ? -1 : 1))
    expect(await list()).toEqual(all)
    expect(await list('?n=2')).toEqual(all.slice(0, 2))
    expect(await list(`?last=${all[1]}`)).toEqual(all.slice(2))
    expect(new Set(await list('?artifactType=a/b'))).toEqual(
      new Set(about.map(({ digest }) => digest)),
    )
  })
})
