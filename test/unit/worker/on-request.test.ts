import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import type { Reference, Tag } from '../../../src/oci/name.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import { createAsked } from '../../../src/storage/asked.ts'
import { membersOf } from '../../../src/storage/index-sets.ts'
import { pairKey, REFERRER } from '../../../src/storage/index-tables.ts'
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
  const state = {
    isSilent: false,
    isAway: false,
    fetched: [] as Digest[],
    looked: [] as Digest[],
    asked: [] as string[],
  }
  const words: string[] = []
  const asked = createAsked({ index })

  const fetcher: Fetcher = {
    manifest: async (repository, _image, digest, { signal, isLook = false }) => {
      state.fetched.push(digest)
      if (isLook) state.looked.push(digest)
      if (state.isSilent) await clock.sleep(1_000_000_000, { signal })
      const found = state.isAway ? undefined : there.get(digest)
      const parse = found && parseManifest(found.bytes, found.mediaType)
      if (found === undefined || parse?.kind !== 'parsed' || repository !== APP)
        return { kind: 'no-holder', reason: 'not there', askedAll: true }
      const indexes = [...there.values()].filter(({ children }) => children.includes(found))
      const namedBy = indexes.map((one) => one.digest)
      return { kind: 'pulled', bytes: found.bytes, manifest: parse.manifest, namedBy }
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
    isLazy: (repository) => repository === APP,
    recordsAbout: (repository, subject) => membersOf(index, REFERRER, pairKey(repository, subject)),
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
    tell: async (tag: string, digest: Digest, subject?: Digest) => {
      const before = records.get(tag)
      const put = hub.put(before === undefined ? [] : [before], {
        repository: APP,
        reference: ref(tag),
        digest,
        ...(subject === undefined ? {} : { subject }),
      })
      records.set(tag, put)
      await index.transact((tx) => ledger.add(tx, put))
    },
    get: async (reference: string) =>
      (await onRequest.manifest(APP, reference as Reference))?.digest,
    look: async (reference: string) =>
      (await onRequest.manifest(APP, reference as Reference, [], { isLook: true }))?.digest,
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

  test('who only looks gets the manifest, and the image comes when it is asked for by that digest', async () => {
    const image = makeImage('image')
    const rig = await setUp([image])
    await rig.tell('v1', image.digest)
    expect(await rig.look('v1')).toBe(image.digest)
    expect(await rig.look(image.digest)).toBe(image.digest)
    expect(rig.state.looked).toEqual([image.digest])
    expect(rig.words).toEqual([])
    expect(await rig.get(image.digest)).toBe(image.digest)
    expect(rig.words).toEqual(['v1 all'])
    expect(rig.state.fetched).toEqual([image.digest])
  })

  test('who has the manifest from elsewhere and asks for its blobs gets the image kept', async () => {
    const image = makeImage('image', { architecture: 'arm64' })
    const index = makeIndex([makeImage('other'), image])
    const rig = await setUp([index])
    await rig.tell('v1', index.digest)
    expect(await rig.look('v1')).toBe(index.digest)
    expect(await rig.look(image.digest)).toBe(image.digest)
    const blob = rig.blob(APP, image.blobs[0]?.digest as Digest)
    expect(rig.words).toEqual([])
    blob?.read({ start: 0, end: blob.size }, new AbortController().signal)
    expect(rig.words).toEqual(['v1 linux/arm64'])
    rig.onRequest[Symbol.dispose]()
  })

  test('who pulls on what a tag has left gets it, and what the tag shows now does not come for that', async () => {
    const [before, after] = [makeImage('before'), makeImage('after')]
    const rig = await setUp([before, after])
    await rig.tell('v1', before.digest)
    expect(await rig.look('v1')).toBe(before.digest)
    await rig.tell('v1', after.digest)
    expect(await rig.get(before.digest)).toBe(before.digest)
    expect(rig.words).toEqual([])
    expect(await rig.get('v1')).toBe(after.digest)
    expect(rig.words).toEqual(['v1 all'])
  })

  test('a child of an index that this node knows nothing of comes by its digest; of another platform, or of no image of a tag, it does not', async () => {
    const [amd64, arm64] = [makeImage('a'), makeImage('b', { architecture: 'arm64' })]
    const [index, unnamed] = [makeIndex([amd64, arm64]), makeImage('unnamed')]
    const rig = await setUp([index, unnamed, makeIndex([unnamed])], {
      demandOf: (tag) =>
        tag === 'v1' ? { ...LAZY, onRequest: ['linux/arm64'] } : { priority: 0, policies: [] },
    })
    await rig.tell('v1', index.digest)
    // Who told of the index knows of its children too.
    await rig.tell(amd64.digest, amd64.digest)
    expect(await rig.get(arm64.digest)).toBe(arm64.digest)
    expect(rig.words).toEqual(['v1 linux/arm64'])
    const fresh = await setUp([index, unnamed], {
      demandOf: () => ({ ...LAZY, onRequest: ['linux/arm64'] }),
    })
    await fresh.tell('v1', index.digest)
    expect(await fresh.get(amd64.digest)).toBeUndefined()
    expect(await rig.get(unnamed.digest)).toBeUndefined()
    expect(rig.words).toHaveLength(1)
    expect(fresh.words).toEqual([])
  })

  test('digests that nobody has cost 32 searches at a time, whoever asks for how many', async () => {
    const rig = await setUp([])
    rig.state.isSilent = true
    const answers = Array.from({ length: 100 }, (_, at) => rig.get(digestNamed(`unknown ${at}`)))
    await settle()
    expect(rig.state.fetched).toHaveLength(32)
    await rig.clock.advance(10_000)
    expect(new Set(await Promise.all(answers))).toEqual(new Set([undefined]))
    rig.state.isSilent = false
    await rig.get(digestNamed('one more'))
    expect(rig.state.fetched).toHaveLength(33)
  })

  test('a signature comes by its own digest, and stands in the list before it is here', async () => {
    const image = makeImage('image')
    const annotations = { 'dev.cosign/signature': 'a'.repeat(80) }
    const signature = makeImage('signature', { subject: image, annotations })
    const rig = await setUp([image, signature])
    await rig.tell('v1', image.digest)
    await rig.tell(signature.digest, signature.digest, image.digest)
    const listed = await rig.referrers(APP, image.digest)
    expect(listed).toEqual([
      {
        mediaType: signature.mediaType,
        digest: signature.digest,
        size: signature.bytes.length,
        artifactType: 'application/vnd.oci.image.config.v1+json',
        annotations,
      },
    ])
    expect(rig.words).toEqual([])
    expect(await rig.get(signature.digest)).toBe(signature.digest)
    expect(rig.words).toEqual([`${signature.digest} all`])
    // The image that it is about was not asked for.
    expect(rig.state.fetched).not.toContain(image.digest)
    expect(await rig.referrers(repo('other'), image.digest)).toEqual([])
  })

  test('tags that may come are listed in order and in pages, without those that are here or that no policy brings so', async () => {
    const image = makeImage('image')
    const rig = await setUp([image], {
      demandOf: (tag) => (tag === 'kept' ? { held: 'all', priority: 0, policies: [] } : LAZY),
    })
    for (const tag of ['v2', 'kept', 'v1', 'a', `sha256-${'0'.repeat(64)}.sig`, 'zzz'])
      await rig.tell(tag, image.digest)
    for (let at = 0; at < 300; at += 1) await rig.tell(digestNamed(`${at}`), digestNamed(`${at}`))
    await push(rig, APP, 'here', image)
    const fallback = `sha256-${'0'.repeat(64)}.sig`
    expect(await rig.tags(APP, { limit: 100 })).toEqual(['a', fallback, 'v1', 'v2', 'zzz'])
    expect(await rig.tags(APP, { after: 'a', limit: 2 })).toEqual([fallback, 'v1'])
    expect(await rig.tags(repo('other'), { limit: 100 })).toEqual([])
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
    // Sources are asked which index names it, and believed nothing.
    expect(rig.state.fetched).toEqual(rig.state.looked)
    expect(rig.words).toEqual([])
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
