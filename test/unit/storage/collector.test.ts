import { describe, expect, test } from 'vitest'
import type { Reference, Tag } from '../../../src/oci/name.ts'
import { visibleOf } from '../../../src/record/history.ts'
import { ENTRY, GONE, HOLDS, PARENT, pairKey, UNUSED } from '../../../src/storage/index-tables.ts'
import { makeImage, makeIndex, type TestManifest } from '../../helpers/images.ts'
import { push } from '../../helpers/storage-rig.ts'
import { repo } from '../../helpers/writers.ts'
import { DAY_MS, GRACES, HOUR_MS, LONG_MS, openCollector, short } from './collector-rig.ts'

const APP = repo('app')
const tag = (name: string) => name as Tag

/** Every item that an image is made of: its manifest, links and files. */
function partsOf(...images: readonly TestManifest[]): readonly string[] {
  return images.flatMap(({ digest, blobs }) => [
    `manifest ${digest}`,
    `blob ${digest}`,
    ...blobs.flatMap((blob) => [`link ${blob.digest}`, `blob ${blob.digest}`]),
  ])
}

function sorted(items: readonly string[]): readonly string[] {
  return [...items].sort()
}

describe('storage / collector', () => {
  test('what a tag shows stays for ever, with all that it names', async () => {
    await using rig = await openCollector()
    await push(rig, APP, 'v1', makeIndex([makeImage('a'), makeImage('b')]))
    await rig.outlast()
    expect(await rig.collect()).toEqual([])
    await rig.outlast()
    expect(await rig.plan()).toEqual([])
  })

  test('a superseded manifest stays for its grace, is said to go, and then goes with its blobs and files', async () => {
    await using rig = await openCollector()
    const [first, second] = [makeImage('first'), makeImage('second')]
    await push(rig, APP, 'v1', first)
    await push(rig, APP, 'v1', second)
    await rig.collector.collect()
    rig.clock.jump(DAY_MS - 1)
    expect(await rig.collect()).toEqual([])
    expect(await rig.has(APP, first.digest)).toBe(true)
    const [waiting] = await rig.plan()
    expect(waiting).toMatchObject({ name: first.digest, isDue: false, repository: APP })
    rig.clock.jump(1)
    const planned = await rig.plan()
    expect(planned.find(({ kind }) => kind === 'manifest')?.reason).toBe(
      `superseded; found 1d ago, kept for 1d; tag v1 shows ${second.digest.slice(0, 19)}.. now`,
    )
    expect(sorted(planned.map(short))).toEqual(sorted(partsOf(first)))
    expect(sorted(await rig.collect())).toEqual(sorted(partsOf(first)))
    expect(await rig.has(APP, first.digest)).toBe(false)
    expect(rig.disk.blobs.size).toBe(1 + second.blobs.length)
    expect(await rig.plan()).toEqual([])
    expect(rig.happened.find(({ kind }) => kind === 'content-collected')).toMatchObject({
      counts: { manifest: 1, link: first.blobs.length, blob: 1 + first.blobs.length },
      freedBytes: [first, ...first.blobs].reduce((sum, { bytes }) => sum + bytes.length, 0),
    })
  })

  test('the links of what is gone are gone too, also from the tag that showed it', async () => {
    await using rig = await openCollector()
    const first = makeImage('first')
    await push(rig, APP, 'v1', first)
    await push(rig, APP, 'v1', makeImage('second'))
    await rig.outlast()
    await rig.collect()
    await rig.links.settled()
    const removed = rig.applied.flatMap((change) => (change.kind === 'remove' ? [change.path] : []))
    const hex = first.digest.slice(7)
    const root = 'docker/registry/v2/repositories/app/_manifests'
    expect(removed).toContain(`${root}/revisions/sha256/${hex}/link`)
    expect(removed).toContain(`${root}/tags/v1/index/sha256/${hex}`)
  })

  test('a layer that another image of the repository names stays, and its file for another repository', async () => {
    await using rig = await openCollector()
    const first = makeImage('first')
    const [config, shared, other] = first.blobs
    if (config === undefined || shared === undefined || other === undefined)
      throw new Error('three')
    await push(rig, APP, 'v1', first)
    await push(rig, repo('other'), 'v1', makeImage('kept elsewhere', { sharedLayers: [other] }))
    await push(rig, APP, 'v1', makeImage('second', { sharedLayers: [shared] }))
    await rig.outlast()
    expect(sorted(await rig.collect())).toEqual(
      sorted([
        `manifest ${first.digest}`,
        `blob ${first.digest}`,
        `link ${config.digest}`,
        `blob ${config.digest}`,
        `link ${other.digest}`,
      ]),
    )
    expect(await rig.content.statBlob(APP, shared.digest)).toBeDefined()
    expect(await rig.content.statBlob(repo('other'), other.digest)).toBeDefined()
    expect(await rig.content.statBlob(APP, other.digest)).toBeUndefined()
  })

  test('the platforms of a superseded index go with it, and the mesh hears that their digests are gone', async () => {
    await using rig = await openCollector()
    const [a, b] = [makeImage('a'), makeImage('b')]
    const old = makeIndex([a, b])
    const fresh = makeIndex([b, makeImage('c')])
    await push(rig, APP, 'v1', old)
    await push(rig, APP, 'v1', fresh)
    await rig.outlast()
    expect(sorted((await rig.plan()).filter(({ isDue }) => isDue).map(short))).toEqual(
      sorted([...partsOf(old), ...partsOf(a)]),
    )
    expect(sorted(await rig.collect())).toEqual(sorted([...partsOf(old), ...partsOf(a)]))
    const entry = rig.ledger.entry({ repository: APP, reference: a.digest })
    expect(entry?.held).toBeUndefined()
    expect(entry?.history.map(({ record }) => record.kind)).toEqual(['delete'])
    expect(
      visibleOf(rig.ledger.entry({ repository: APP, reference: b.digest })?.history ?? []),
    ).toBeDefined()
    expect(await rig.has(APP, b.digest)).toBe(true)
  })

  test('a node that may not sign lets go without a word, and keeps what its policies ask for by digest', async () => {
    for (const isWanted of [false, true]) {
      await using rig = await openCollector({ isWriter: false, isWanted })
      const child = makeImage('child')
      await push(rig, APP, 'v1', makeIndex([child]))
      await push(rig, APP, 'v1', makeImage('second'))
      await rig.outlast()
      await rig.collect()
      const entry = rig.ledger.entry({ repository: APP, reference: child.digest })
      expect(entry?.history.map(({ record }) => record.kind)).toEqual(['put'])
      expect(entry?.held?.digest).toBe(isWanted ? child.digest : undefined)
      expect(await rig.has(APP, child.digest)).toBe(isWanted)
    }
  })

  test('a manifest that was pushed by digest for its own sake stays until it is deleted', async () => {
    await using rig = await openCollector()
    const image = makeImage('by digest')
    await push(rig, APP, image.digest, image)
    await rig.outlast()
    expect(await rig.collect()).toEqual([])
    await rig.content.deleteManifest(APP, image.digest)
    await rig.outlast()
    expect(sorted(await rig.collect())).toEqual(
      sorted(image.blobs.flatMap(({ digest }) => [`link ${digest}`, `blob ${digest}`])),
    )
    expect(rig.disk.blobs.size).toBe(0)
  })

  test('what lost its index, and is then pushed again by digest, is there for its own sake', async () => {
    await using rig = await openCollector()
    const child = makeImage('child')
    const index = makeIndex([child])
    await push(rig, APP, 'v1', index)
    await rig.content.deleteManifest(APP, index.digest)
    expect(rig.index.get(UNUSED, pairKey(APP, child.digest))?.isOrphan).toBe(true)
    await push(rig, APP, child.digest, child)
    await rig.outlast()
    await rig.collect()
    expect(await rig.has(APP, child.digest)).toBe(true)
  })

  test('platforms of an index that was deleted go after their grace, unless a tag shows one', async () => {
    await using rig = await openCollector()
    const [a, b] = [makeImage('a'), makeImage('b')]
    const index = makeIndex([a, b])
    await push(rig, APP, 'v1', index)
    await push(rig, APP, 'v1-arm64', b)
    await rig.content.deleteManifest(APP, index.digest)
    await rig.outlast()
    await rig.collect()
    expect([await rig.has(APP, a.digest), await rig.has(APP, b.digest)]).toEqual([false, true])
    await rig.content.deleteTag(APP, tag('v1-arm64'))
    await rig.outlast()
    await rig.collect()
    expect(await rig.has(APP, b.digest)).toBe(false)
    expect(rig.disk.blobs.size).toBe(0)
  })

  test('a signature stays as long as its image, and one that came before its image waits for it', async () => {
    await using rig = await openCollector()
    const image = makeImage('image')
    const signature = makeImage('signature', { layers: 1, subject: image })
    await push(rig, APP, signature.digest, signature)
    await rig.outlast()
    expect(await rig.collect()).toEqual([])
    await push(rig, APP, 'v1', image)
    await rig.outlast()
    expect(await rig.collect()).toEqual([])
    await push(rig, APP, 'v1', makeImage('second'))
    await rig.outlast()
    expect(sorted(await rig.collect())).toEqual(sorted(partsOf(image, signature)))
  })

  test('a signature of an image that is gone goes too, unless it was pushed again since', async () => {
    await using rig = await openCollector()
    const image = makeImage('image')
    const [left, again] = ['left', 'again'].map((name) =>
      makeImage(name, { layers: 1, subject: image }),
    ) as [ReturnType<typeof makeImage>, ReturnType<typeof makeImage>]
    await push(rig, APP, 'v1', image)
    for (const one of [left, again]) await push(rig, APP, one.digest, one)
    await rig.content.deleteManifest(APP, image.digest)
    expect(await rig.index.page(GONE, { limit: 9 })).toEqual([[pairKey(APP, image.digest), {}]])
    await push(rig, APP, again.digest, again)
    await rig.outlast()
    await rig.collect()
    await rig.outlast()
    await rig.collect()
    expect([await rig.has(APP, left.digest), await rig.has(APP, again.digest)]).toEqual([
      false,
      true,
    ])
    await rig.content.deleteManifest(APP, again.digest)
    expect(await rig.index.page(GONE, { limit: 9 })).toEqual([])
  })

  test('a signature that was used after its image had gone has a grace of its own', async () => {
    await using rig = await openCollector()
    const image = makeImage('image')
    const signature = makeImage('signature', { layers: 1, subject: image })
    await push(rig, APP, 'v1', image)
    await push(rig, APP, signature.digest, signature)
    await push(rig, APP, 'v1', makeImage('second'))
    await rig.collect()
    await push(rig, APP, 'kept', signature)
    await rig.outlast()
    await rig.collect()
    expect([await rig.has(APP, image.digest), await rig.has(APP, signature.digest)]).toEqual([
      false,
      true,
    ])
    await rig.content.deleteTag(APP, tag('kept'))
    await rig.collect()
    expect(await rig.has(APP, signature.digest)).toBe(true)
    await rig.outlast()
    await rig.collect()
    expect(await rig.has(APP, signature.digest)).toBe(false)
  })

  test('content without a record, as it was found on the disk, is left alone', async () => {
    await using rig = await openCollector()
    const image = makeImage('found')
    await push(rig, APP, 'gone', image)
    await rig.content.deleteTag(APP, tag('gone'))
    for (const reference of ['found', image.digest] as Reference[]) {
      await rig.index.transact((tx) =>
        rig.ledger.hold(
          tx,
          { repository: APP, reference },
          { digest: image.digest, coverage: 'all' },
        ),
      )
    }
    await rig.outlast()
    expect(await rig.collect()).toEqual([])
    await rig.index.transact((tx) =>
      rig.ledger.hold(tx, { repository: APP, reference: tag('found') }, undefined),
    )
    await rig.outlast()
    expect(await rig.collect()).toEqual([])
  })

  test('a tag that comes back in time begins the grace anew', async () => {
    await using rig = await openCollector()
    const [first, second] = [makeImage('first'), makeImage('second')]
    await push(rig, APP, 'v1', first)
    await push(rig, APP, 'v1', second)
    await rig.collector.collect()
    rig.clock.jump(DAY_MS - 1)
    await push(rig, APP, 'v1', first)
    await push(rig, APP, 'v1', second)
    rig.clock.jump(HOUR_MS)
    expect(await rig.collect()).toEqual([])
    expect(await rig.has(APP, first.digest)).toBe(true)
  })

  test('an uploaded blob that no manifest names goes after its grace; one that a client asked for stays longer', async () => {
    await using rig = await openCollector()
    const [asked, left] = makeImage('blobs').blobs
    if (asked === undefined || left === undefined) throw new Error('an image has two blobs')
    for (const { digest, bytes } of [asked, left]) {
      await rig.blobs.put(digest, bytes)
      await rig.content.linkBlob(APP, digest)
    }
    await rig.outlast()
    rig.leases.touch(asked.digest)
    expect(sorted(await rig.collect())).toEqual([`blob ${left.digest}`, `link ${left.digest}`])
    expect((await rig.plan())[0]?.reason).toContain('in use now, or a short while ago')
    await rig.outlast()
    expect(sorted(await rig.collect())).toEqual([`blob ${asked.digest}`, `link ${asked.digest}`])
  })

  test('without a grace, what a push holds is not taken between its upload and its manifest', async () => {
    await using rig = await openCollector({ graces: { supersededMs: 0, unusedMs: 0 } })
    const [blob] = makeImage('held').blobs
    if (blob === undefined) throw new Error('an image has a blob')
    const held = await rig.leases.hold([blob.digest])
    await rig.blobs.put(blob.digest, blob.bytes)
    expect(await rig.collect()).toEqual([])
    await rig.content.linkBlob(APP, blob.digest)
    expect(await rig.collect()).toEqual([])
    held[Symbol.dispose]()
    expect(sorted(await rig.collect())).toEqual([`blob ${blob.digest}`, `link ${blob.digest}`])
  })

  test('files without a row, as a crash leaves them, go after their grace, but not while a job may want them', async () => {
    let oldest: number | undefined
    await using rig = await openCollector({ oldestJobMs: () => oldest })
    const { digest, bytes } = makeImage('left')
    await rig.blobs.put(digest, bytes)
    oldest = rig.clock.now()
    rig.clock.jump(HOUR_MS)
    expect(await rig.collect()).toEqual([])
    oldest = undefined
    expect((await rig.plan())[0]?.reason).toMatch(/^no repository has it; written 1h ago/)
    expect(await rig.collect()).toEqual([`blob ${digest}`])
    expect(rig.disk.blobs.size).toBe(0)
  })

  test('sessions and stages that nobody goes on with go, what is at work stays', async () => {
    let oldest: number | undefined
    await using rig = await openCollector({ oldestJobMs: () => oldest })
    const image = makeImage('staged')
    const bytesOf = async function* ({ bytes }: typeof image) {
      yield bytes
    }
    const stageOf = async (name: string) => {
      const stage = await rig.blobs.stage(name as never)
      await stage.append(bytesOf(image))
      await stage.close()
    }
    const idle = await rig.uploads.begin(APP)
    await rig.uploads.append(APP, idle, bytesOf(image))
    const lost = '01234567-89ab-4def-8123-456789abcdef'
    await stageOf(lost)
    const fetched = `blob-sha256-${image.digest.slice(7)}`
    await stageOf(fetched)
    oldest = rig.clock.now()
    rig.clock.jump(HOUR_MS)
    const working = await rig.uploads.begin(APP)
    expect(sorted(await rig.collect())).toEqual(sorted([`upload ${idle}`, `stage ${lost}`]))
    oldest = undefined
    expect(await rig.collect()).toEqual([`stage ${fetched}`])
    expect(await rig.uploads.offset(APP, working)).toBe(0)
    expect([...rig.disk.stages.keys()]).toEqual([])
  })

  test('without a topology at hand nothing is taken that would have to be signed for', async () => {
    await using rig = await openCollector({ hasRights: false })
    const child = makeImage('child')
    const index = makeIndex([child])
    const plain = makeImage('plain')
    await push(rig, APP, 'v1', index)
    await push(rig, APP, 'v2', plain)
    for (const name of ['v1', 'v2']) await push(rig, APP, name, makeImage('second'))
    await rig.outlast()
    expect(sorted(await rig.collect())).toEqual(
      sorted([...partsOf(plain), `manifest ${index.digest}`, `blob ${index.digest}`]),
    )
    expect(await rig.has(APP, child.digest)).toBe(true)
  })

  test('a dry run changes nothing, and two runs at once are one after the other', async () => {
    await using rig = await openCollector({ graces: { supersededMs: 0, unusedMs: 0 } })
    const first = makeImage('first')
    await push(rig, APP, 'v1', first)
    await push(rig, APP, 'v1', makeImage('second'))
    expect(sorted((await rig.plan()).map(short))).toEqual(sorted(partsOf(first)))
    expect(await rig.has(APP, first.digest)).toBe(true)
    expect(rig.index.get(UNUSED, pairKey(APP, first.digest))?.sinceMs).toBeUndefined()
    const runs = await Promise.all([rig.collect(), rig.collect()])
    expect(sorted(runs.flat())).toEqual(sorted(partsOf(first)))
  })

  test('no row of what is gone is left', async () => {
    await using rig = await openCollector()
    const old = makeIndex([makeImage('a')])
    await push(rig, APP, 'v1', old)
    await rig.content.deleteTag(APP, tag('v1'))
    await rig.outlast()
    await rig.collect()
    expect(await rig.index.page(HOLDS, { limit: 10 })).toEqual([])
    expect(await rig.index.page(PARENT, { limit: 10 })).toEqual([])
    expect(await rig.index.page(UNUSED, { limit: 10 })).toEqual([])
    const entries = await rig.index.page(ENTRY, { limit: 10 })
    expect(entries.map(([, { held }]) => held)).toEqual(entries.map(() => undefined))
    expect(await rig.content.repositories({ limit: 10 })).toEqual([])
  })

  test('every hour a run begins by itself', async () => {
    await using rig = await openCollector({ graces: { ...GRACES, supersededMs: LONG_MS } })
    await push(rig, APP, 'v1', makeImage('first'))
    await push(rig, APP, 'v1', makeImage('second'))
    const [blob] = makeImage('unnamed').blobs
    if (blob === undefined) throw new Error('an image has a blob')
    await rig.blobs.put(blob.digest, blob.bytes)
    rig.collector.start()
    await rig.clock.advance(HOUR_MS - 1)
    expect(rig.disk.blobs.has(blob.digest)).toBe(true)
    await rig.clock.advance(2 * HOUR_MS)
    await rig.collector.collect()
    expect(rig.disk.blobs.has(blob.digest)).toBe(false)
    expect(rig.happened.filter(({ kind }) => kind === 'content-collected')).toHaveLength(1)
  })

  test('a run ends with the node, also where it finds nothing to take', async () => {
    await using rig = await openCollector()
    await push(rig, APP, 'v1', makeImage('kept'))
    const run = rig.collector.collect()
    const stopped = expect(run).rejects.toThrow('node is stopping')
    await rig.collector[Symbol.asyncDispose]()
    await stopped
  })
})
