import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import type { Reference, Tag } from '../../../src/oci/name.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createAsked } from '../../../src/storage/asked.ts'
import { tagsNaming } from '../../../src/storage/naming.ts'
import type { Demand } from '../../../src/topology/demand.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import type { Fetcher } from '../../../src/transfer/fetcher.ts'
import { createAskedImages } from '../../../src/worker/asked-images.ts'
import { createOnRequest } from '../../../src/worker/on-request.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../../helpers/images.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const APP = repo('app')
const LAZY: Demand = { onRequest: 'all', priority: 0, policies: [] }

interface Options {
  readonly demandOf?: (tag: string) => Demand | undefined
  readonly hasRoom?: () => boolean
}

/** A node that holds nothing, beside a source that has `images`. */
async function setUp(images: readonly TestManifest[], options: Options = {}) {
  const { demandOf = () => LAZY, hasRoom = () => true } = options
  const rig = await openStorage({ writer: 'edge' })
  const { index, ledger, content, blobs, damage, clock } = rig
  const there = new Map(images.flatMap(manifestsOf).map((one) => [one.digest, one]))
  const hub = createWriter('hub', { clock })
  const records = new Map<string, SignedRecord>()
  const state = { isSilent: false, isAway: false, fetched: [] as Digest[], asked: [] as string[] }
  const words: string[] = []
  const asked = createAsked({ index })

  const fetcher: Fetcher = {
    manifest: async (repository, _image, digest, { signal }) => {
      state.fetched.push(digest)
      if (state.isSilent) await clock.sleep(1_000_000_000, { signal })
      const found = state.isAway ? undefined : there.get(digest)
      const parse = found && parseManifest(found.bytes, found.mediaType)
      if (found === undefined || parse?.kind !== 'parsed' || repository !== APP)
        return { kind: 'no-holder', reason: 'not there', askedAll: true }
      return { kind: 'pulled', bytes: found.bytes, manifest: parse.manifest }
    },
    blob: (_repository, _image, _blob, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      }),
  }
  const onRequest = createOnRequest({
    ledger,
    self: 'edge' as NodeName,
    isAsking: (_digest, nodes) => nodes.some((node) => state.asked.includes(node)),
    demands: { of: async ({ reference }) => demandOf(reference) },
    naming: { tagsNaming: (repository, digest) => tagsNaming(index, repository, digest) },
    content,
    fetcher,
    pulls: {
      ask: async (key, platforms = 'all') => {
        const digest = records.get(key.reference)?.record
        words.push(`${key.reference} ${String(platforms)}`)
        if (digest?.kind === 'put') await asked.ask(key, digest.digest, platforms)
        return { kind: 'asked', digest: digestNamed('any'), job: 'any' }
      },
    },
    asked,
    hasRoom,
    blobs,
    damage,
    clock,
    logger: silentLogger,
  })
  return {
    ...rig,
    ...onRequest,
    onRequest,
    state,
    words,
    tell: async (tag: string, digest: Digest) => {
      const before = records.get(tag)
      const put = hub.put(before === undefined ? [] : [before], {
        repository: APP,
        reference: ref(tag),
        digest,
      })
      records.set(tag, put)
      await index.transact((tx) => ledger.add(tx, put))
    },
    get: async (reference: string) =>
      (await onRequest.manifest(APP, reference as Reference))?.digest,
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('worker / on request', () => {
  test('what a tag shows is fetched once, asked for, and its blobs may come', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    await rig.tell('v1', image.digest)
    const [layer] = image.blobs
    if (layer === undefined) throw new Error('a layer')
    expect(rig.blob(APP, layer.digest)).toBeUndefined()
    const all = await Promise.all(Array.from({ length: 20 }, () => rig.get('v1')))
    expect(new Set(all)).toEqual(new Set([image.digest]))
    expect(rig.state.fetched).toEqual([image.digest])
    expect(rig.words).toEqual(['v1 all'])
    expect(rig.blob(APP, layer.digest)?.size).toBe(layer.bytes.length)
    expect(rig.blob(repo('other'), layer.digest)).toBeUndefined()
  })

  test('nothing is fetched for nodes that this one waits for, or that wait for it', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    await rig.tell('v1', image.digest)
    const askedBy = (...nodes: readonly string[]) => rig.manifest(APP, ref('v1'), nodes)
    expect(await askedBy('edge', 'relay')).toBeUndefined()
    rig.state.asked.push('relay')
    expect(await askedBy('relay')).toBeUndefined()
    expect(rig.state.fetched).toEqual([])
    expect((await askedBy('another'))?.digest).toBe(image.digest)
    const { digest = image.digest } = image.blobs[0] ?? {}
    expect(rig.blob(APP, digest, ['relay'])).toBeUndefined()
    expect(rig.blob(APP, digest, ['another', 'edge'])).toBeUndefined()
    expect(rig.blob(APP, digest, ['another'])).toBeDefined()
  })

  test('an image that was evicted is asked for again, though its manifest is still in memory', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    await rig.tell('v1', image.digest)
    await rig.get('v1')
    await settle()
    await rig.get('v1')
    expect(rig.words).toEqual(['v1 all'])
    // It came, which ends the word; then it was let go of.
    const parse = parseManifest(image.bytes, image.mediaType)
    if (parse.kind !== 'parsed') throw new Error('an image')
    const { digest, bytes } = image
    await rig.content.commitPulled({
      repository: APP,
      manifests: [{ digest, bytes, manifest: parse.manifest }],
      references: [ref('v1')],
    })
    const key = { repository: APP, reference: ref('v1') }
    await rig.index.transact((tx) => rig.ledger.hold(tx, key, undefined))
    expect(await rig.get('v1')).toBe(digest)
    expect(rig.words).toEqual(['v1 all', 'v1 all'])
  })

  test('what is here is not brought, whoever asks for it and however often', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    await push(rig, APP, 'v1', image)
    expect(await rig.get('v1')).toBeUndefined()
    expect(rig.state.fetched).toEqual([])
    expect(rig.words).toEqual([])
  })

  test('nothing comes that no lazy policy lets through, or that no tag of the repository names', async () => {
    const [kept, lazy] = [makeImage('kept'), makeImage('lazy')]
    const rig = await setUp([kept, lazy], {
      demandOf: (tag) => (tag === 'lazy' ? LAZY : { priority: 0, policies: [], onWord: 'all' }),
    })
    await rig.tell('kept', kept.digest)
    await rig.tell('lazy', lazy.digest)
    expect(await rig.get('kept')).toBeUndefined()
    expect(await rig.get(kept.digest)).toBeUndefined()
    expect(await rig.get(digestNamed('unknown'))).toBeUndefined()
    expect(await rig.onRequest.manifest(repo('other'), lazy.digest)).toBeUndefined()
    expect(rig.state.fetched).toEqual([])
    expect(await rig.get(lazy.digest)).toBe(lazy.digest)
  })

  test('an index alone asks for nothing; a child for its platform, and one of another platform is refused', async () => {
    const [amd64, arm64] = [makeImage('a'), makeImage('b', { architecture: 'arm64' })]
    const index = makeIndex([amd64, arm64])
    const rig = await setUp([index], {
      demandOf: () => ({ ...LAZY, onRequest: ['linux/arm64'] }),
    })
    await rig.tell('v1', index.digest)
    expect(await rig.get('v1')).toBe(index.digest)
    expect(rig.words).toEqual([])
    expect(await rig.get(amd64.digest)).toBeUndefined()
    expect(await rig.get(arm64.digest)).toBe(arm64.digest)
    expect(rig.words).toEqual(['v1 linux/arm64'])
  })

  test('a source that is silent costs a client its time once, however many tags show the image', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    for (const tag of ['v1', 'v1.2', 'v1.2.3', 'latest']) await rig.tell(tag, image.digest)
    rig.state.isSilent = true
    const answer = rig.get(image.digest)
    await settle()
    await rig.clock.advance(10_000)
    expect(await answer).toBeUndefined()
    rig.state.isSilent = false
    rig.state.isAway = true
    rig.state.fetched.length = 0
    expect(await rig.get(image.digest)).toBeUndefined()
    expect(rig.state.fetched.length).toBeLessThanOrEqual(2)
  })

  test('without room nothing new is brought', async () => {
    const image = makeImage('image')
    const index = makeIndex([image])
    let hasRoom = true
    const rig = await setUp([index], { hasRoom: () => hasRoom })
    await rig.tell('v1', index.digest)
    expect(await rig.get('v1')).toBe(index.digest)
    hasRoom = false
    expect(await rig.get(image.digest)).toBeUndefined()
    expect(rig.words).toEqual([])
  })

  test('once it is disposed of readers are cut, and nothing is brought', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    await rig.tell('v1', image.digest)
    await rig.get('v1')
    const layer = image.blobs.at(-1)?.digest
    const blob = layer === undefined ? undefined : rig.blob(APP, layer)
    if (blob === undefined) throw new Error('a layer that may come')
    const chunks = blob.read({ start: 0, end: blob.size }, new AbortController().signal)
    const first = chunks[Symbol.asyncIterator]().next()
    await settle()
    rig.onRequest[Symbol.dispose]()
    await expect(first).rejects.toThrow('another topology')
    await rig.tell('v2', makeImage('more').digest)
    expect(await rig.get('v2')).toBeUndefined()
  })
})

describe('worker / asked images', () => {
  const stored = (name: string, length: number) => ({
    digest: digestNamed(name),
    mediaType: 'application/json',
    bytes: new Uint8Array(length),
  })
  const ask = (images: ReturnType<typeof createAskedImages>, name: string) =>
    images.note({
      key: { repository: APP, reference: name as Tag },
      root: digestNamed(name),
      platforms: 'all',
    })

  test('of 501 images the one asked for longest ago is forgotten', () => {
    const images = createAskedImages()
    for (let at = 0; at < 500; at += 1) ask(images, `image ${at}`)
    ask(images, 'image 0')
    ask(images, 'one more')
    expect(images.naming(APP, digestNamed('image 0'))).toHaveLength(1)
    expect(images.naming(APP, digestNamed('image 1'))).toHaveLength(0)
  })

  test('large manifests push out old ones, and never the only one', () => {
    const images = createAskedImages()
    const manifest = { mediaType: 'application/json', manifests: [], blobs: [] }
    for (const name of ['a', 'b', 'c']) {
      images.keep(ask(images, name), stored(name, 20 * 1024 * 1024), manifest)
    }
    expect(['a', 'b', 'c'].map((name) => images.naming(APP, digestNamed(name)).length)).toEqual([
      0, 0, 1,
    ])
  })
})
