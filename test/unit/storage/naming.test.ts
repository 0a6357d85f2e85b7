import { describe, expect, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import type { History } from '../../../src/record/history.ts'
import { referrersNaming, tagsNaming } from '../../../src/storage/naming.ts'
import { makeImage, makeIndex } from '../../helpers/images.ts'
import { openStorage, push, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const image = makeImage('image')
const other = makeImage('other')
const index = makeIndex([image, other])
const signature = makeImage('signature', { subject: image })
const countersignature = makeImage('countersignature', { subject: signature })

const tagsOf = (rig: StorageRig, digest: Digest) =>
  Array.fromAsync(tagsNaming(rig.index, REPO, digest))
const referrersOf = (rig: StorageRig, digest: Digest) =>
  Array.fromAsync(referrersNaming(rig.index, REPO, digest))

describe('storage / naming', () => {
  test('a manifest is named by its tags, by those of its indexes, and as what it is about', async () => {
    const rig = await openStorage()
    await push(rig, 'app', 'multi', index)
    await push(rig, 'app', 'single', image)
    await push(rig, 'app', signature.digest, signature)
    await push(rig, 'app', countersignature.digest, countersignature)
    expect(await tagsOf(rig, index.digest)).toEqual(['multi'])
    expect((await tagsOf(rig, image.digest)).sort()).toEqual(['multi', 'single'])
    expect(await tagsOf(rig, other.digest)).toEqual(['multi'])
    expect((await tagsOf(rig, signature.digest)).sort()).toEqual(['multi', 'single'])
    expect((await tagsOf(rig, countersignature.digest)).sort()).toEqual(['multi', 'single'])
    expect(await Array.fromAsync(tagsNaming(rig.index, repo('elsewhere'), image.digest))).toEqual(
      [],
    )
  })

  test('a tag that moves or goes names the old manifest no more', async () => {
    const rig = await openStorage()
    await push(rig, 'app', 'v1', image)
    await push(rig, 'app', 'v1', other)
    expect([await tagsOf(rig, image.digest), await tagsOf(rig, other.digest)]).toEqual([[], ['v1']])
    await rig.content.deleteTag(REPO, ref('v1') as never)
    expect(await tagsOf(rig, other.digest)).toEqual([])
  })

  test('referrers of a manifest are those of its children and of the referrers too', async () => {
    const rig = await openStorage()
    await push(rig, 'app', 'multi', index)
    await push(rig, 'app', signature.digest, signature)
    await push(rig, 'app', countersignature.digest, countersignature)
    const fallback = `sha256-${other.digest.slice(7)}.sbom`
    await push(rig, 'app', fallback, makeImage('sbom'))
    expect((await referrersOf(rig, index.digest)).sort()).toEqual(
      [signature.digest, countersignature.digest, fallback].sort(),
    )
    expect((await referrersOf(rig, image.digest)).sort()).toEqual(
      [signature.digest, countersignature.digest].sort(),
    )
    // Its delete is news about the image too: for whoever was sent the countersignature.
    await rig.content.deleteManifest(REPO, countersignature.digest)
    expect(new Set(await referrersOf(rig, image.digest))).toEqual(
      new Set([signature.digest, countersignature.digest]),
    )
    expect(await Array.fromAsync(rig.content.referrers(REPO, signature.digest))).toEqual([])
  })

  /** Records name what they like: a hostile or broken writer can make a circle that content never could. */
  test('records that are about each other are no endless chain', async () => {
    const rig = await openStorage()
    const writer = createWriter('hub')
    const [a, b] = [digestNamed('a'), digestNamed('b')]
    const circle = [
      [a, b],
      [b, a],
    ] as const
    for (const [digest, subject] of circle) {
      const history: History = []
      const put = writer.put(history, { repository: REPO, reference: digest, digest, subject })
      await rig.index.transact((tx) => rig.ledger.add(tx, put))
    }
    const tag = writer.put([], { repository: REPO, reference: ref('v1'), digest: a })
    await rig.index.transact((tx) => rig.ledger.add(tx, tag))
    expect(await tagsOf(rig, b)).toEqual(['v1'])
    expect((await referrersOf(rig, a)).sort()).toEqual([a, b].sort())
  })
})
