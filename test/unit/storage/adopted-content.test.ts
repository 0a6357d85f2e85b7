import { describe, expect, test } from 'vitest'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { manifestRow } from '../../../src/storage/content-rows.ts'
import { META, TAG } from '../../../src/storage/index-tables.ts'
import { makeIndex, type TestManifest } from '../../helpers/images.ts'
import { openStorage, push, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, ref } from '../../helpers/writers.ts'
import { openCollector } from './collector-rig.ts'
import { codeOf, digestAt, image, other, pushOf, REPO, V1 } from './content-parts.ts'

const KEY = { repository: REPO, reference: V1 }

/** As adoption leaves it: held, without a record. */
async function adopted(
  { blobs, index, rows, ledger }: StorageRig,
  root: TestManifest,
  tags: readonly string[],
  coverage: 'all' | readonly string[] = 'all',
): Promise<void> {
  const parse = parseManifest(root.bytes, root.mediaType)
  if (parse.kind === 'invalid') throw new Error(parse.reason)
  for (const { digest, bytes } of [...root.blobs, root]) await blobs.put(digest, bytes)
  await index.transact((tx) => {
    rows.putManifest(tx, REPO, root.digest, manifestRow(parse.manifest, root.bytes.length))
    for (const reference of [...tags.map(ref), root.digest]) {
      ledger.hold(tx, { repository: REPO, reference }, { digest: root.digest, coverage })
    }
  })
}

describe('storage / adopted content', () => {
  test('a delete by digest takes the adopted tags that show it, and no other', async () => {
    const rig = await openStorage()
    await adopted(rig, image, ['v1', 'latest'])
    await adopted(rig, other, ['v2'])
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(true)
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual(['v2'])
    expect(await digestAt(rig, image.digest)).toBeUndefined()
  })

  test('a delete of an adopted tag is signed, so that it stays deleted', async () => {
    const rig = await openStorage()
    await adopted(rig, image, ['v1'])
    expect(await rig.content.deleteTag(REPO, V1)).toBe(true)
    expect(await digestAt(rig, 'v1')).toBeUndefined()
    expect(rig.ledger.entry(KEY)?.history).toHaveLength(1)
  })

  test('a push takes an adopted tag over; once it has moved, the old digest does not show it', async () => {
    const rig = await openStorage()
    await adopted(rig, image, ['v1'])
    await push(rig, REPO, 'v1', other)
    expect(await digestAt(rig, 'v1')).toBe(other.digest)
    await rig.content.deleteManifest(REPO, image.digest)
    expect(await digestAt(rig, 'v1')).toBe(other.digest)
  })

  test('an adopted tag of an immutable repository does not move', async () => {
    const rig = await openStorage({ tagsMayMove: () => false })
    await adopted(rig, image, ['v1'])
    await push(rig, REPO, 'other', other)
    expect(await codeOf(rig.content.pushManifest(pushOf(other, 'v1')))).toBe('DENIED')
    expect(await codeOf(rig.content.pushManifest(pushOf(image, 'v1')))).toBeUndefined()
  })

  test('no delete, no drop: where no record says anything, it stays', async () => {
    const rig = await openStorage()
    await adopted(rig, image, ['v1'])
    await rig.content.drop(KEY)
    await rig.content.drop({ ...KEY, reference: image.digest })
    expect(await digestAt(rig, 'v1')).toBe(image.digest)
    expect(rig.index.get(TAG, `${REPO}\0v1`)).toBe(image.digest)
  })

  test('an index that lacks a child is not complete, and a record of it is not shown as if it were', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const root = makeIndex([image, other])
    await adopted(rig, image, [])
    await adopted(rig, root, ['v1'], [])
    await rig.index.transact((tx) =>
      rig.ledger.add(tx, createWriter('hub').put([], { ...KEY, digest: root.digest })),
    )
    expect(rig.content.isComplete(REPO, root.digest)).toBe(false)
    expect(await rig.content.show(KEY)).toBe(false)
    expect(rig.ledger.entry(KEY)?.held?.coverage).toEqual([])
    await adopted(rig, other, [])
    expect(await rig.content.show(KEY)).toBe(true)
    expect(rig.ledger.entry(KEY)?.held?.coverage).toBe('all')
  })

  test('the collector takes nothing while content on disk may still be without a row', async () => {
    await using rig = await openCollector()
    await rig.blobs.put(image.digest, image.bytes)
    await rig.index.transact((tx) => tx.put(META, 'adoption', { version: 0 }))
    rig.clock.jump(30 * 24 * 3_600_000)
    await expect(rig.collect()).rejects.toMatchObject({ code: 'ADOPTION_OPEN' })
    await expect(rig.plan()).rejects.toMatchObject({ code: 'ADOPTION_OPEN' })
    expect(await rig.blobs.stat(image.digest)).toBeDefined()
    await rig.index.transact((tx) => tx.put(META, 'adoption', { version: 1 }))
    expect(await rig.collect()).toHaveLength(1)
  })
})
