import { describe, expect, test } from 'vitest'
import type { Tag } from '../../../src/oci/name.ts'
import { DAMAGED } from '../../../src/storage/index-tables.ts'
import { manifestsOf, type TestBlob } from '../../helpers/images.ts'
import { openStorage, push, type StorageRig } from '../../helpers/storage-rig.ts'
import { ref, repo } from '../../helpers/writers.ts'
import { codeOf, image, pushOf, REPO } from './content-parts.ts'

const [layer = { digest: image.digest, bytes: image.bytes, mediaType: '' }] = image.blobs.slice(1)

async function setUp(): Promise<StorageRig> {
  const rig = await openStorage()
  await push(rig, REPO, 'v1', image)
  await push(rig, 'team/copy', 'v1', image)
  return rig
}

const cut = (rig: StorageRig, { digest, bytes }: TestBlob) =>
  rig.disk.blobs.set(digest, bytes.subarray(1))

const damageEvents = ({ happened }: StorageRig) =>
  happened.flatMap((event) =>
    event.kind === 'blob-damaged' || event.kind === 'blob-repaired'
      ? [[event.kind, event.digest]]
      : [],
  )

describe('storage / damage', () => {
  test('a blob whose file was cut is absent, noted and told once, whoever asks', async () => {
    const rig = await setUp()
    cut(rig, layer)
    for (const name of [REPO, REPO, repo('team/copy')]) {
      expect(await rig.content.statBlob(name, layer.digest)).toBeUndefined()
    }
    expect(rig.index.get(DAMAGED, layer.digest)).toEqual({
      foundAtMs: rig.clock.now(),
      why: `expected ${layer.bytes.length} bytes, the file has ${layer.bytes.length - 1}`,
      repositories: [REPO, 'team/copy'],
    })
    expect(damageEvents(rig)).toEqual([['blob-damaged', layer.digest]])
  })

  test('a file that is gone counts as damage, a row that is gone does not', async () => {
    const rig = await setUp()
    rig.disk.blobs.delete(layer.digest)
    expect(await rig.content.statBlob(REPO, layer.digest)).toBeUndefined()
    expect(rig.damage.has(layer.digest)).toBe(true)

    const other = await setUp()
    await other.content.deleteTag(REPO, ref('v1') as Tag)
    await other.content.deleteManifest(REPO, image.digest)
    await other.content.unlinkBlob(REPO, layer.digest)
    await other.damage.report(REPO, layer.digest, 'seen by a reader that was late')
    expect(other.damage.has(layer.digest)).toBe(false)
  })

  test('a manifest whose file was cut is absent by tag and by digest, and a push of it is the repair', async () => {
    const rig = await setUp()
    cut(rig, image)
    expect(await rig.content.readManifest(REPO, ref('v1'))).toBeUndefined()
    expect(await rig.content.readManifest(REPO, image.digest)).toBeUndefined()
    await rig.content.pushManifest(pushOf(image, 'v1'))
    expect((await rig.content.readManifest(REPO, ref('v1')))?.digest).toBe(image.digest)
    expect(damageEvents(rig)).toEqual([
      ['blob-damaged', image.digest],
      ['blob-repaired', image.digest],
    ])
  })

  test('damage is known after a restart, until the blob is pushed again', async () => {
    const before = await setUp()
    cut(before, layer)
    await before.content.statBlob(REPO, layer.digest)
    const { backend, disk } = before
    const rig = await openStorage({ backend, disk, epoch: 'epoch-2' })
    // Of the right size again, but nobody has looked at the bytes.
    disk.blobs.set(layer.digest, Buffer.alloc(layer.bytes.length))
    expect(await rig.content.statBlob(REPO, layer.digest)).toBeUndefined()
    await rig.blobs.put(layer.digest, layer.bytes)
    await rig.content.linkBlob(REPO, layer.digest)
    expect(await rig.content.statBlob(REPO, layer.digest)).toEqual({ size: layer.bytes.length })
    expect(rig.index.get(DAMAGED, layer.digest)).toBeUndefined()
  })

  test('a manifest that names a damaged blob is refused as one that lacks it, not as one with a wrong size', async () => {
    const rig = await setUp()
    cut(rig, layer)
    const [{ digest } = image] = manifestsOf(image)
    expect(await codeOf(rig.content.pushManifest(pushOf(image, 'v2')))).toBe(
      'MANIFEST_BLOB_UNKNOWN',
    )
    expect(rig.damage.has(layer.digest)).toBe(true)
    await rig.blobs.put(layer.digest, layer.bytes)
    await rig.content.linkBlob(REPO, layer.digest)
    await rig.content.pushManifest(pushOf(image, 'v2'))
    expect((await rig.content.statManifest(REPO, ref('v2')))?.digest).toBe(digest)
  })

  test('a report never fails its reader, also when nothing can be written', async () => {
    const rig = await setUp()
    cut(rig, layer)
    rig.backend.batch = (() => Promise.reject(new Error('no space'))) as never
    expect(await rig.content.statBlob(REPO, layer.digest)).toBeUndefined()
    expect(rig.damage.has(layer.digest)).toBe(false)
  })
})
