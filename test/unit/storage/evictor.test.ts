import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import type { RecordKey, SignedRecord } from '../../../src/record/tag-record.ts'
import { createEvictor } from '../../../src/storage/evictor.ts'
import { PULLED, pairKey } from '../../../src/storage/index-tables.ts'
import { createLastPulled } from '../../../src/storage/last-pulled.ts'
import type { StorageBudget } from '../../../src/topology/topology.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../../helpers/images.ts'
import { push } from '../../helpers/storage-rig.ts'
import { createWriter, ref, repo } from '../../helpers/writers.ts'
import { DAY_MS, openCollector } from './collector-rig.ts'

const APP = repo('app')
const OWN = repo('own')
const LAYER = 10_000

interface Options extends Partial<StorageBudget> {
  /** Keys that a policy holds. */
  readonly isHeld?: (key: RecordKey) => boolean
}

const image = (seed: string) => makeImage(seed, { layers: 1, layerBytes: LAYER })
const keyOf = (tag: string, repository = APP): RecordKey => ({ repository, reference: ref(tag) })

function bytesOf(...images: readonly TestManifest[]): number {
  const all = images.flatMap(manifestsOf).flatMap((one) => [one, ...one.blobs])
  const parts = new Map(all.map(({ digest, bytes }) => [digest, bytes.length]))
  return [...parts.values()].reduce((sum, size) => sum + size, 0)
}

/** A node that may write the repository `own` and no other. */
async function setUp(options: Options = {}) {
  const { isHeld = () => false, maxBytes = 3.5 * LAYER, evict = 'lru' } = options
  const hub = createWriter('hub')
  const records = new Map<string, SignedRecord>()
  const rig = await openCollector({ isWriter: false })
  const { index, clock, ledger, content, blobs, events } = rig
  const lastPulled = createLastPulled({ index, clock })
  const evictor = createEvictor(
    {
      ...rig,
      lastPulled,
      mayGo: async (key) => !isHeld(key) && key.repository !== OWN,
      isWriter: (repository) => repository === OWN,
      logger: silentLogger,
    },
    { maxBytes, evict, isPinned: options.isPinned ?? (() => false) },
  )
  const stack = new AsyncDisposableStack()
  stack.use(rig)
  stack.use(evictor)

  const tell = async (tag: string, signed: SignedRecord) => {
    records.set(tag, signed)
    await index.transact((tx) => ledger.add(tx, signed))
  }
  /** It comes from the hub, as a job brings it. */
  async function come(tag: string, one: TestManifest): Promise<void> {
    const before = records.get(tag)
    const { digest } = one
    await tell(tag, hub.put(before === undefined ? [] : [before], { ...keyOf(tag), digest }))
    for (const blob of manifestsOf(one).flatMap((part) => part.blobs)) {
      if ((await blobs.stat(blob.digest)) !== undefined) continue
      await blobs.put(blob.digest, blob.bytes)
      const sizeBytes = blob.bytes.length
      events.emit({ kind: 'blob-fetched', digest: blob.digest, sizeBytes, from: 'hub' as never })
    }
    const manifests = manifestsOf(one).map((part) => ({
      digest: part.digest,
      bytes: part.bytes,
      manifest: {
        mediaType: part.mediaType,
        manifests: part.children.map((child) => ({
          digest: child.digest,
          mediaType: child.mediaType,
          size: child.bytes.length,
        })),
        blobs: part.blobs.map(({ digest: name, mediaType, bytes }) => ({
          digest: name,
          mediaType,
          size: bytes.length,
        })),
      },
    }))
    const references = [ref(tag)]
    await content.commitPulled({ repository: APP, manifests, references })
  }
  return {
    ...rig,
    evictor,
    lastPulled,
    come,
    pull: async (tag: string, one: TestManifest) => {
      clock.jump(1_000)
      lastPulled.note(APP, one.digest)
      await come(tag, one)
      await evictor.idle()
    },
    remove: (tag: string) => {
      const before = records.get(tag)
      return tell(tag, hub.delete(before === undefined ? [] : [before], keyOf(tag)))
    },
    shows: async (tag: string, repository: RepositoryName = APP) =>
      (await content.statManifest(repository, tag as Tag))?.digest,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

describe('storage / evictor', () => {
  test('what was pulled longest ago goes with all its bytes; pins and what a policy holds stay', async () => {
    const [base, pinned, a, b, c] = ['base', 'pinned', 'a', 'b', 'c'].map(image) as [
      TestManifest,
      TestManifest,
      TestManifest,
      TestManifest,
      TestManifest,
    ]
    await using rig = await setUp({
      maxBytes: 4.8 * LAYER,
      isHeld: ({ reference }) => reference === ref('base'),
      isPinned: (_repository, tag) => tag === 'pinned',
    })
    for (const [tag, one] of Object.entries({ base, pinned, a, b })) await rig.pull(tag, one)
    rig.clock.jump(1_000)
    rig.lastPulled.note(APP, a.digest)
    await rig.pull('c', c)
    expect(await rig.shows('b')).toBeUndefined()
    for (const blob of [b, ...b.blobs]) expect(rig.disk.blobs.has(blob.digest)).toBe(false)
    for (const [tag, one] of Object.entries({ base, pinned, a, c }))
      expect(await rig.shows(tag)).toBe(one.digest)
    expect(rig.evictor.usage().usedBytes).toBe(bytesOf(base, pinned, a, c))
  })

  test('all tags of an image go together, and what others share stays', async () => {
    await using rig = await setUp()
    const first = image('first')
    const [, layer] = first.blobs
    if (layer === undefined) throw new Error('a layer')
    await rig.pull('v1', first)
    await rig.come('latest', first)
    const sharing = makeImage('sharing', { sharedLayers: [layer] })
    await rig.pull('shares', sharing)
    for (const seed of ['b', 'c']) await rig.pull(seed, image(seed))
    await rig.pull('d', image('d'))
    expect(await rig.shows('v1')).toBeUndefined()
    expect(await rig.shows('latest')).toBeUndefined()
    expect(await rig.shows('d')).toBeDefined()
    if ((await rig.shows('shares')) !== undefined)
      expect(rig.disk.blobs.has(layer.digest)).toBe(true)
  })

  test('an index goes without the child that another index names', async () => {
    await using rig = await setUp({ maxBytes: 3.7 * LAYER })
    const [shared, a, b] = [image('shared'), image('a'), image('b')]
    await rig.pull('v1', makeIndex([shared, a]))
    const second = makeIndex([shared, b])
    await rig.pull('v2', second)
    await rig.pull('single', image('single'))
    expect(await rig.shows('v1')).toBeUndefined()
    expect(rig.disk.blobs.has(a.digest)).toBe(false)
    expect(await rig.shows('v2')).toBe(second.digest)
    expect(await rig.shows(shared.digest)).toBe(shared.digest)
  })

  test('an image of which only the children are pulled counts as used', async () => {
    await using rig = await setUp()
    const child = image('child')
    await rig.pull('index', makeIndex([child]))
    await rig.pull('a', image('a'))
    await rig.pull('b', image('b'))
    rig.clock.jump(1_000)
    rig.lastPulled.note(APP, child.digest)
    await rig.pull('c', image('c'))
    expect(await rig.shows('index')).toBeDefined()
    expect(await rig.shows('a')).toBeUndefined()
  })

  test('what came at a word and nobody pulled yet is as new as its coming', async () => {
    await using rig = await setUp()
    for (const seed of ['a', 'b', 'c']) await rig.pull(seed, image(seed))
    rig.clock.jump(1_000)
    await rig.come('word', image('word'))
    await rig.evictor.idle()
    expect(await rig.shows('word')).toBeDefined()
    expect(await rig.shows('a')).toBeUndefined()
  })

  test('superseded content goes in its turn, and before what was pulled after it', async () => {
    await using rig = await setUp()
    await rig.pull('v1', image('before'))
    await rig.pull('v1', image('after'))
    await rig.pull('a', image('a'))
    await rig.pull('b', image('b'))
    for (const tag of ['v1', 'a', 'b']) expect(await rig.shows(tag)).toBeDefined()
    expect(rig.disk.blobs.has(image('before').digest)).toBe(false)
  })

  test('a tag that was deleted where it came from is shown on, but goes in its turn', async () => {
    await using rig = await setUp()
    await rig.pull('gone', image('gone'))
    await rig.remove('gone')
    for (const seed of ['a', 'b']) await rig.pull(seed, image(seed))
    expect(await rig.shows('gone')).toBeDefined()
    await rig.pull('c', image('c'))
    expect(await rig.shows('gone')).toBeUndefined()
    expect(await rig.shows('a')).toBeDefined()
  })

  test('what another repository keeps for its grace stays, though it is the same content', async () => {
    await using rig = await setUp({ maxBytes: 2.9 * LAYER })
    const same = image('same')
    await push(rig, OWN, 'v1', same)
    await push(rig, OWN, 'v1', makeImage('newer', { layers: 1 }))
    await rig.pull('v1', same)
    for (const seed of ['a', 'b', 'c']) await rig.pull(seed, image(seed))
    expect(await rig.shows('v1')).toBeUndefined()
    expect(await rig.shows(same.digest, OWN)).toBe(same.digest)
    expect(await rig.content.statBlob(OWN, same.blobs.at(-1)?.digest as never)).toBeDefined()
  })

  test('what is pulled while others are let go of stays', async () => {
    await using rig = await setUp({ maxBytes: 3 * LAYER })
    const [a, b] = [image('a'), image('b')]
    const own = makeImage('c', { layers: 1, layerBytes: 1.5 * LAYER }).blobs.slice(1)
    await rig.pull('a', a)
    await rig.pull('b', b)
    rig.clock.jump(1_000)
    rig.events.on('content-collected', () => rig.lastPulled.note(APP, b.digest))
    // It uses the layer of the first that goes: that round frees too little, and another one follows.
    await rig.come('c', makeImage('c', { sharedLayers: [...a.blobs.slice(1), ...own] }))
    await rig.evictor.idle()
    expect(await rig.shows('a')).toBeUndefined()
    expect(await rig.shows('b')).toBe(b.digest)
  })

  test('a blob that a push or a job uses stays', async () => {
    await using rig = await setUp()
    const first = image('first')
    await rig.pull('a', first)
    const layer = first.blobs.at(-1)?.digest
    if (layer === undefined) throw new Error('a layer')
    using _held = await rig.leases.hold([layer])
    for (const seed of ['b', 'c', 'd']) await rig.pull(seed, image(seed))
    expect(await rig.shows('a')).toBeUndefined()
    expect(rig.disk.blobs.has(layer)).toBe(true)
  })

  test('what the topology makes the node hold may be too much: that is said, and not looked at for each image', async () => {
    await using rig = await setUp({ isHeld: () => true })
    let looks = 0
    const scan = rig.ledger.scan
    Object.assign(rig.ledger, {
      scan: (page: never) => {
        looks += 1
        return scan(page)
      },
    })
    for (let at = 0; at < 8; at += 1) await rig.pull(`v${at}`, image(`image ${at}`))
    expect(rig.evictor.usage().isOverfull).toBe(true)
    expect(await rig.shows('v0')).toBeDefined()
    expect(looks).toBeLessThanOrEqual(1)
  })

  test('bytes that came twice do not make it evict', async () => {
    await using rig = await setUp()
    const [a, b] = [image('a'), image('b')]
    await rig.pull('a', a)
    const digest = a.blobs.at(-1)?.digest as never
    for (let at = 0; at < 5; at += 1)
      rig.events.emit({ kind: 'blob-fetched', digest, sizeBytes: LAYER, from: 'hub' as never })
    await rig.pull('b', b)
    expect(await rig.shows('a')).toBe(a.digest)
    expect(rig.evictor.usage()).toMatchObject({ usedBytes: bytesOf(a, b), isOverfull: false })
  })

  test('of two images pulled in the same moment one goes with all its tags, the other stays with all', async () => {
    await using rig = await setUp({ maxBytes: 3.5 * LAYER })
    const [a, b] = [image('a'), image('b')]
    const tagged = Object.entries({ a1: a, a2: b, a3: a, a4: b })
    for (const [tag, one] of tagged) await rig.come(tag, one)
    Object.assign(rig.lastPulled, { atMs: () => rig.clock.now() })
    for (const seed of ['c', 'd']) await rig.come(seed, image(seed))
    await rig.evictor.idle()
    const shown = await Promise.all(tagged.map(([tag]) => rig.shows(tag)))
    expect(shown[0]).toBe(shown[2])
    expect(shown[1]).toBe(shown[3])
  })

  test('a clock that goes back by a year does not keep it from evicting', async () => {
    await using rig = await setUp({ isHeld: ({ reference }) => reference.startsWith('held') })
    for (let at = 0; at < 4; at += 1) await rig.pull(`held${at}`, image(`held ${at}`))
    expect(rig.evictor.usage().isOverfull).toBe(true)
    rig.clock.jump(-365 * DAY_MS)
    await rig.pull('a', image('a'))
    expect(await rig.shows('a')).toBeUndefined()
  })

  test('what clients push counts at once, and makes room for itself', async () => {
    await using rig = await setUp()
    for (const seed of ['a', 'b', 'c']) await rig.pull(seed, image(seed))
    const pushed = image('pushed')
    for (const { digest, bytes } of pushed.blobs) {
      await rig.blobs.put(digest, bytes)
      await rig.content.linkUpload(OWN, { digest, size: bytes.length }, () => {})
    }
    const { digest, mediaType, bytes } = pushed
    await rig.content.pushManifest({ repository: OWN, reference: ref('v1'), mediaType, bytes })
    await rig.evictor.idle()
    expect(await rig.shows('a')).toBeUndefined()
    expect(await rig.shows('v1', OWN)).toBe(digest)
    expect(rig.evictor.usage().isOverfull).toBe(false)
  })

  test('once enough went it does not say any more that nothing may go', async () => {
    let isHeld = true
    await using rig = await setUp({ isHeld: () => isHeld })
    for (const seed of ['a', 'b', 'c', 'd']) await rig.pull(seed, image(seed))
    expect(rig.evictor.usage().isOverfull).toBe(true)
    isHeld = false
    rig.clock.jump(600_000)
    await rig.pull('e', image('e'))
    expect(rig.evictor.usage().isOverfull).toBe(false)
  })

  test('`evict: none` lets nothing go, and says that it is full', async () => {
    await using rig = await setUp({ evict: 'none' })
    for (const seed of ['a', 'b', 'c', 'd']) await rig.pull(seed, image(seed))
    expect(await rig.shows('a')).toBeDefined()
    expect(rig.evictor.usage().isOverfull).toBe(true)
  })

  test('at start what is on disk is measured, and what is too much goes', async () => {
    await using rig = await setUp()
    for (const seed of ['a', 'b', 'c', 'd']) await push(rig, OWN, seed, image(seed))
    await rig.come('v1', image('a'))
    rig.evictor.start()
    await rig.clock.advance(1)
    await rig.evictor.idle()
    expect(await rig.shows('v1')).toBeUndefined()
    expect(await rig.shows('a', OWN)).toBeDefined()
    expect(rig.evictor.usage().isOverfull).toBe(true)
  })
})

describe('storage / last pulled', () => {
  test('times outlive a restart, and go with the manifest', async () => {
    await using rig = await setUp()
    const first = image('a')
    await rig.pull('a', first)
    await rig.lastPulled.save()
    const key = pairKey(APP, first.digest)
    const later = createLastPulled(rig)
    expect(later.atMs(APP, first.digest)).toBe(rig.clock.now())
    for (const seed of ['b', 'c', 'd']) await rig.pull(seed, image(seed))
    await rig.lastPulled.save()
    expect(rig.index.get(PULLED, key)).toBeUndefined()
  })

  test('what is pulled after the clock went back counts as newer than what was pulled before, also over a restart', async () => {
    await using rig = await setUp()
    for (const seed of ['a', 'b']) await rig.pull(seed, image(seed))
    rig.clock.jump(-30 * DAY_MS)
    rig.lastPulled.note(APP, image('a').digest)
    const [a, b] = [image('a').digest, image('b').digest]
    expect(rig.lastPulled.atMs(APP, a)).toBeGreaterThan(rig.lastPulled.atMs(APP, b))
    await rig.lastPulled.save()
    const later = createLastPulled(rig)
    await later.load()
    later.note(APP, b)
    expect(later.atMs(APP, b)).toBeGreaterThan(later.atMs(APP, a))
  })

  test('manifests that never come do not pile up', async () => {
    await using rig = await setUp()
    const { digest } = image('last')
    for (let at = 0; at < 10_000; at += 1) rig.lastPulled.note(repo(`r${at}`), digest)
    await rig.index.transact(() => {})
    await new Promise((resolve) => setImmediate(resolve))
    expect(rig.lastPulled.atMs(repo('r0'), digest)).toBe(0)
    expect(rig.lastPulled.atMs(repo('r9999'), digest)).toBe(rig.clock.now())
    rig.clock.jump(2 * DAY_MS)
    await rig.lastPulled.save()
    expect(rig.lastPulled.atMs(repo('r9999'), digest)).toBe(0)
  })
})
