import { describe, expect, test } from 'vitest'
import type { Author } from '../../../src/record/author.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import {
  descriptorOf,
  makeBlob,
  makeDockerImage,
  makeImage,
  makeIndex,
  OCI_MANIFEST,
} from '../../helpers/images.ts'
import { openStorage, push } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, identityNamed, ref } from '../../helpers/writers.ts'
import { codeOf, digestAt, image, other, pushOf, REPO, V1 } from './content-parts.ts'

describe('storage / content: a push', () => {
  test('what was pushed is served byte for byte, by tag and by digest, with its type', async () => {
    for (const one of [image, makeDockerImage('docker'), makeIndex([image, other])]) {
      const rig = await openStorage()
      await push(rig, REPO, 'v1', one)
      for (const reference of ['v1', one.digest]) {
        const found = await rig.content.readManifest(REPO, ref(reference))
        expect(found?.mediaType).toBe(one.mediaType)
        expect(found && Buffer.from(found.bytes).equals(one.bytes)).toBe(true)
      }
      for (const { digest, bytes } of one.blobs) {
        expect(await rig.content.statBlob(REPO, digest)).toEqual({ size: bytes.length })
      }
    }
  })

  test('bytes that look odd stay as they are', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v0', image)
    const text = Buffer.from(image.bytes).toString()
    const odd = makeBlob(Buffer.from(` \n${text.replace('{', '{ "x" : 1.0e2 ,')}\n\n`))
    const { digest } = await rig.content.pushManifest({
      ...pushOf(image, 'v1'),
      bytes: odd.bytes,
    })
    expect(digest).toBe(odd.digest)
    const found = await rig.content.readManifest(REPO, V1)
    expect(found && Buffer.from(found.bytes).equals(odd.bytes)).toBe(true)
  })

  test('a manifest is refused while one of its blobs is missing, and the error names them', async () => {
    const rig = await openStorage()
    const [config, ...layers] = image.blobs
    if (config === undefined) throw new Error('an image has a config')
    await rig.blobs.put(config.digest, config.bytes)
    await rig.content.linkBlob(REPO, config.digest)
    const head = rig.ledger.head()
    await expect(rig.content.pushManifest(pushOf(image, 'v1'))).rejects.toMatchObject({
      code: 'MANIFEST_BLOB_UNKNOWN',
      detail: { missing: layers.map(({ digest }) => digest) },
    })
    expect([rig.ledger.head(), await digestAt(rig, 'v1'), rig.happened]).toEqual([
      head,
      undefined,
      [],
    ])
    expect(rig.content.hasRepository(REPO)).toBe(false)
  })

  test('a blob that only another repository has is missing here', async () => {
    const rig = await openStorage()
    await push(rig, 'elsewhere', 'v1', image)
    expect(await codeOf(rig.content.pushManifest(pushOf(image, 'v1')))).toBe(
      'MANIFEST_BLOB_UNKNOWN',
    )
    for (const { digest } of image.blobs) await rig.content.linkBlob(REPO, digest)
    expect(await codeOf(rig.content.pushManifest(pushOf(image, 'v1')))).toBeUndefined()
  })

  test('a blob that is linked but gone from the disk is missing', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const [config] = image.blobs
    if (config !== undefined) await rig.blobs.delete(config.digest)
    expect(await codeOf(rig.content.pushManifest(pushOf(image, 'v2')))).toBe(
      'MANIFEST_BLOB_UNKNOWN',
    )
  })

  test('an index is refused while one of its manifests is missing, and accepted after it', async () => {
    const rig = await openStorage()
    const index = makeIndex([image, other])
    await push(rig, REPO, image.digest, image)
    await expect(rig.content.pushManifest(pushOf(index, 'v1'))).rejects.toMatchObject({
      code: 'MANIFEST_BLOB_UNKNOWN',
      detail: { missing: [other.digest] },
    })
    await push(rig, REPO, 'v1', index)
    expect(await digestAt(rig, 'v1')).toBe(index.digest)
  })

  test('a subject does not have to exist', async () => {
    const rig = await openStorage()
    const signature = makeImage('signature', { subject: image })
    await push(rig, REPO, signature.digest, signature)
    expect(await digestAt(rig, signature.digest)).toBe(signature.digest)
  })

  test('a manifest pushed by a digest that is not its own is refused', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    expect(await codeOf(rig.content.pushManifest(pushOf(image, other.digest)))).toBe(
      'DIGEST_INVALID',
    )
  })

  test('a manifest may be pushed by its sha512', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const { digestOf } = await import('../../../src/oci/digest.ts')
    const digest = digestOf(image.bytes, 'sha512')
    expect(await rig.content.pushManifest(pushOf(image, digest))).toEqual({ digest })
    expect(await digestAt(rig, digest)).toBe(digest)
  })

  test('a manifest that lies about the size of a blob is refused', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const [config] = image.blobs
    if (config === undefined) throw new Error('an image has a config')
    const lie = { ...descriptorOf(config), size: config.bytes.length + 1 }
    const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: lie, layers: [] }
    const bytes = Buffer.from(JSON.stringify(document))
    const pushed = rig.content.pushManifest({ ...pushOf(image, 'v2'), bytes })
    expect(await codeOf(pushed)).toBe('SIZE_INVALID')
  })

  test('what is no manifest is refused', async () => {
    const { content } = await openStorage()
    const bytes = Buffer.from('{}')
    expect(await codeOf(content.pushManifest({ ...pushOf(image, 'v1'), bytes }))).toBe(
      'MANIFEST_INVALID',
    )
  })

  test('pushing the same again changes nothing: no record, no number, no event', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', makeIndex([image, other]))
    const [head, happened] = [rig.ledger.head(), rig.happened.length]
    const before = rig.ledger.entry({ repository: REPO, reference: V1 })
    await push(rig, REPO, 'v1', makeIndex([image, other]))
    expect([rig.ledger.head(), rig.happened.length]).toEqual([head, happened])
    expect(rig.ledger.entry({ repository: REPO, reference: V1 })).toEqual(before)
  })

  test('pushing again what won against another writer ends the conflict for all', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    const theirs = createWriter('edge', { last: timeOfMs(START_MS - 1) })
    const beside = theirs.put([], { repository: REPO, reference: V1, digest: digestNamed('x') })
    await rig.index.transact((tx) => rig.ledger.add(tx, beside))
    const entry = () => rig.ledger.entry({ repository: REPO, reference: V1 })
    expect(entry()?.history).toHaveLength(2)
    await push(rig, REPO, 'v1', image)
    expect(entry()?.history).toHaveLength(1)
    expect(entry()?.history[0]?.record.seen.has(beside.writer)).toBe(true)
  })

  test('a push tells of its record and of what is shown now, after both can be read', async () => {
    const rig = await openStorage()
    const seen: unknown[] = []
    rig.events.on('visible-changed', ({ key, digest }) => {
      seen.push([digest, rig.ledger.entry(key)?.held?.digest])
    })
    await push(rig, REPO, 'v1', image)
    expect(rig.happened.map(({ kind }) => kind)).toEqual(['record-stored', 'visible-changed'])
    expect(seen).toEqual([[image.digest, image.digest]])
    expect(rig.happened[0]).toMatchObject({
      arrival: { via: 'push' },
      signed: {
        writer: identityNamed('hub').peerId,
        record: { kind: 'put', digest: image.digest, reference: 'v1' },
      },
    })
  })

  test('a tag moves, and the earlier manifest stays by digest', async () => {
    const rig = await openStorage()
    await push(rig, REPO, 'v1', image)
    await push(rig, REPO, 'v1', other)
    expect(await digestAt(rig, 'v1')).toBe(other.digest)
    expect(await digestAt(rig, image.digest)).toBe(image.digest)
  })

  test('where tags are immutable a tag is moved by nobody, and its own manifest is taken again', async () => {
    const rig = await openStorage({ tagsMayMove: (repository) => repository !== REPO })
    await push(rig, REPO, 'v1', image)
    expect(await codeOf(push(rig, REPO, 'v1', other))).toBe('DENIED')
    expect(await codeOf(push(rig, REPO, 'v1', image))).toBeUndefined()
    expect(await digestAt(rig, 'v1')).toBe(image.digest)
    await push(rig, 'elsewhere', 'v1', image)
    expect(await codeOf(push(rig, 'elsewhere', 'v1', other))).toBeUndefined()
  })

  test('a push whose record would be too large for the mesh is refused, and nothing changes', async () => {
    const author: Author = {
      sign: () => {
        throw new RangeError('record is 5000 bytes, at most 4096 are allowed')
      },
    }
    const rig = await openStorage({ author })
    expect(await codeOf(push(rig, REPO, 'v1', image))).toBe('MANIFEST_INVALID')
    expect(rig.ledger.head()).toBe(0)
    expect(await digestAt(rig, 'v1')).toBeUndefined()
  })
})
