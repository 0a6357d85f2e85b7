import { describe, expect, test } from 'vitest'
import { timeOfMs } from '../../../src/record/time.ts'
import { pairKey, SHOWS } from '../../../src/storage/index-tables.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { descriptorOf, makeImage, makeIndex } from '../../helpers/images.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'
import { codeOf, digestAt, image, other, pushOf, REPO, V1 } from './content-parts.ts'

describe('storage / content: deletes and lists', () => {
  test('a deleted tag is gone, its manifest stays, and the same push brings it back', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    expect(await rig.content.deleteTag(REPO, V1)).toBe(true)
    expect(await digestAt(rig, 'v1')).toBeUndefined()
    expect(await digestAt(rig, image.digest)).toBe(image.digest)
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual([])
    const head = rig.ledger.head()
    expect(await rig.content.deleteTag(REPO, V1)).toBe(false)
    expect(rig.ledger.head()).toBe(head)
    await push(rig, REPO, 'v1', image)
    expect(await digestAt(rig, 'v1')).toBe(image.digest)
  })

  test('a deleted manifest takes all of its tags, however many, the manifest last', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'other', other)
    await push(rig, REPO, 'v1', image)
    const tags = Array.from({ length: 300 }, (_, at) => ref(`t${at}`) as never)
    await rig.content.pushManifest({ ...pushOf(image), reference: V1, tags })
    const left: (number | undefined)[] = []
    rig.events.on('visible-changed', ({ key }) => {
      if (key.reference !== image.digest) return
      left.push(rig.index.get(SHOWS, pairKey(REPO, image.digest)))
    })
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(true)
    expect(left).toEqual([undefined])
    expect(await rig.content.tags(REPO, { limit: 1_000 })).toEqual(['other'])
    expect(await digestAt(rig, image.digest)).toBeUndefined()
  })

  test('a deleted manifest takes the tags with it that show it, and no other', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    await push(rig, REPO, 'latest', image)
    await push(rig, REPO, 'v2', other)
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(true)
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual(['v2'])
    expect(await digestAt(rig, image.digest)).toBeUndefined()
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(false)
    const deleted = rig.happened.flatMap((event) =>
      event.kind === 'record-stored' && event.signed.record.kind === 'delete'
        ? [event.signed.record.reference]
        : [],
    )
    expect(deleted.sort()).toEqual(['latest', image.digest, 'v1'].sort())
  })

  test('a deleted child stays as long as an index here names it', async () => {
    const rig = await openStorage()
    const index = makeIndex([image, other])
    await push(rig, REPO, 'v1', index)
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(true)
    expect(await digestAt(rig, image.digest)).toBe(image.digest)
    await rig.content.deleteManifest(REPO, index.digest)
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(true)
    expect(await digestAt(rig, image.digest)).toBeUndefined()
  })

  test('a repository without manifests does not exist, and exists again after the next push', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    await rig.content.deleteManifest(REPO, image.digest)
    expect(rig.content.hasRepository(REPO)).toBe(false)
    expect(await rig.content.repositories({ limit: 10 })).toEqual([])
    await push(rig, REPO, 'v1', image)
    expect(await rig.content.repositories({ limit: 10 })).toEqual([REPO])
  })

  test('a blob cannot be unlinked while a manifest of the repository names it', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const [config] = image.blobs
    if (config === undefined) throw new Error('an image has a config')
    expect(await codeOf(rig.content.unlinkBlob(REPO, config.digest))).toBe('DENIED')
    await rig.content.deleteManifest(REPO, image.digest)
    expect(await rig.content.unlinkBlob(REPO, config.digest)).toBe(true)
    expect(await rig.content.statBlob(REPO, config.digest)).toBeUndefined()
    expect(await rig.content.unlinkBlob(REPO, config.digest)).toBe(false)
  })

  test('a push and an unlink at the same time: one of them is refused, whichever comes first', async () => {
    const outcomes = new Set<string>()
    const orders = [0, 2, 4, 8].flatMap((turns) => [
      { first: 'push', turns },
      { first: 'unlink', turns },
    ])
    for (const { first, turns } of orders) {
      const rig = await openStorage()
      const [config] = image.blobs
      if (config === undefined) throw new Error('an image has a config')
      for (const { digest, bytes } of image.blobs) {
        await rig.blobs.put(digest, bytes)
        await rig.content.linkBlob(REPO, digest)
      }
      const start = {
        push: () => codeOf(rig.content.pushManifest(pushOf(image, 'v1'))),
        unlink: () => codeOf(rig.content.unlinkBlob(REPO, config.digest)),
      }
      const one = first === 'push' ? start.push() : start.unlink()
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      const two = first === 'push' ? start.unlink() : start.push()
      const [pushed, unlinked] = await Promise.all(first === 'push' ? [one, two] : [two, one])
      expect([
        ['MANIFEST_BLOB_UNKNOWN', undefined],
        [undefined, 'DENIED'],
      ]).toContainEqual([pushed, unlinked])
      const isShown = (await digestAt(rig, 'v1')) !== undefined
      const isHere = (await rig.content.statBlob(REPO, config.digest)) !== undefined
      expect(isShown).toBe(isHere)
      outcomes.add(String(unlinked))
    }
    expect(outcomes.size).toBe(2)
  })

  test('a blob that is not here cannot be linked', async () => {
    const { content } = await openStorage()
    expect(await codeOf(content.linkBlob(REPO, digestNamed('nowhere')))).toBe('BLOB_UNKNOWN')
  })

  test('a blob is served by the repositories that it is linked to, and a damaged one by none', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const [config] = image.blobs
    if (config === undefined) throw new Error('an image has a config')
    expect(await rig.content.statBlob(repo('elsewhere'), config.digest)).toBeUndefined()
    expect(await rig.content.statBlob(REPO, image.digest)).toEqual({ size: image.bytes.length })
    rig.disk.blobs.set(config.digest, config.bytes.subarray(1))
    expect(await rig.content.statBlob(REPO, config.digest)).toBeUndefined()
  })

  test('tags and repositories come in order and in pages', async () => {
    const rig = await openStorage()
    for (const tag of ['b', 'a', 'c', 'B']) await push(rig, 'x', tag, image)
    for (const name of ['x/y', 'w', 'x-y']) await push(rig, name, 'v1', image)
    const { tags, repositories } = rig.content
    expect(await tags(repo('x'), { limit: 10 })).toEqual(['B', 'a', 'b', 'c'])
    expect(await tags(repo('x'), { after: 'a', limit: 1 })).toEqual(['b'])
    expect(await tags(repo('x'), { after: 'c', limit: 1 })).toEqual([])
    expect(await repositories({ limit: 10 })).toEqual(['w', 'x', 'x-y', 'x/y'])
    expect(await repositories({ after: 'w', limit: 2 })).toEqual(['x', 'x-y'])
    await rig.content.deleteManifest(repo('x'), image.digest)
    expect(await repositories({ limit: 2 })).toEqual(['w', 'x-y'])
  })

  test('referrers are the manifests about a subject, with their type and annotations, each once', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const annotations = { 'org.example': 'yes' }
    const signature = makeImage('signature', { subject: image, annotations })
    await push(rig, REPO, signature.digest, signature)
    await push(rig, REPO, 'signature', signature)
    await push(rig, REPO, 'about-other', makeImage('about other', { subject: other }))
    await push(rig, REPO, `sha256-${image.digest.slice(7)}`, makeIndex([image]))
    expect(await Array.fromAsync(rig.content.referrers(REPO, image.digest))).toEqual([
      {
        ...descriptorOf(signature),
        artifactType: 'application/vnd.oci.image.config.v1+json',
        annotations,
      },
    ])
    await rig.content.deleteManifest(REPO, signature.digest)
    expect(await Array.fromAsync(rig.content.referrers(REPO, image.digest))).toEqual([])
  })

  test('a referrer whose newest record is not here yet is not listed under the new subject', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'sig', makeImage('signature', { subject: image }))
    const entry = rig.ledger.entry({ repository: REPO, reference: ref('sig') })
    const newer = createWriter('edge', { last: timeOfMs(START_MS + 5) }).put(entry?.history ?? [], {
      repository: REPO,
      reference: ref('sig'),
      digest: digestNamed('not here'),
      subject: other.digest,
    })
    await rig.index.transact((tx) => rig.ledger.add(tx, newer))
    expect(await Array.fromAsync(rig.content.referrers(REPO, other.digest))).toEqual([])
  })
})
