import { describe, expect, test } from 'vitest'
import type { Tag } from '../../../src/oci/name.ts'
import type { History } from '../../../src/record/history.ts'
import { conflictOf, type LoserTag, loserTags } from '../../../src/record/losers.ts'
import { type Time, timeOfMs } from '../../../src/record/time.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'
import { makeImage } from '../../helpers/images.ts'
import { openMemoryBackend, push, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, identityNamed, recordBy, ref } from '../../helpers/writers.ts'
import { DAY_MS, openCollector } from './collector-rig.ts'
import { codeOf, digestAt, image, other, pushOf, REPO, V1 } from './content-parts.ts'

const KEY = { repository: REPO, reference: V1 }
const TAG = 'v1--hub-T' as Tag

/** A push of `image` here, and one of `other` elsewhere that is later and did not know of it. */
async function openConflict({ isKept = true } = {}) {
  const rig = await openCollector({ writer: 'hub' })
  await push(rig, REPO, 'v1', image)
  await push(rig, REPO, 'v2', other)
  const elsewhere = recordBy(identityNamed('iad'), {
    ...KEY,
    digest: other.digest,
    time: timeOfMs(START_MS + 60_000),
  })
  await rig.index.transact((tx) => rig.ledger.add(tx, elsewhere))
  await rig.content.show(KEY)
  if (isKept) await keep(rig)
  return rig
}

const historyIn = ({ ledger }: Pick<StorageRig, 'ledger'>): History =>
  ledger.entry(KEY)?.history ?? []

function losersIn(rig: Pick<StorageRig, 'ledger'>): readonly LoserTag[] {
  const conflict = conflictOf(historyIn(rig))
  return conflict === undefined
    ? []
    : loserTags(conflict, () => 'hub').map((one) => ({ ...one, tag: TAG }))
}

const keep = (rig: Pick<StorageRig, 'ledger' | 'content'>) =>
  rig.content.keepLosers(KEY, losersIn(rig))

const tagsOf = ({ content }: Pick<StorageRig, 'content'>, limit = 10, after = '') =>
  content.tags(REPO, { limit, after })

describe('storage / kept losers', () => {
  test('a loser that is here is served under its tag, and listed in its place', async () => {
    const rig = await openConflict()
    expect(await digestAt(rig, 'v1')).toBe(other.digest)
    expect(await digestAt(rig, TAG)).toBe(image.digest)
    expect(await tagsOf(rig)).toEqual(['v1', TAG, 'v2'])
    expect(await tagsOf(rig, 2)).toEqual(['v1', TAG])
    expect(await tagsOf(rig, 2, TAG)).toEqual(['v2'])
    expect(rig.ledger.entry(KEY)?.kept).toEqual([image.digest])
    expect(rig.happened).toContainEqual({
      kind: 'visible-changed',
      key: { ...KEY, reference: TAG },
      digest: image.digest,
    })
  })

  test('what is not here is told, and served once it is', async () => {
    const rig = await openConflict({ isKept: false })
    const lost = makeImage('lost')
    const third = recordBy(identityNamed('nrt'), {
      ...KEY,
      digest: lost.digest,
      time: timeOfMs(START_MS),
    })
    await rig.index.transact((tx) => rig.ledger.add(tx, third))
    const asked = losersIn(rig).map((one, at) => ({ ...one, tag: `loser-${at}` as Tag }))
    const missing = await rig.content.keepLosers(KEY, asked)
    expect(missing.map(({ digest }) => digest)).toEqual([lost.digest])
    await push(rig, REPO, 'for-its-blobs', lost)
    expect(await rig.content.keepLosers(KEY, asked)).toEqual([])
    expect(await tagsOf(rig)).toEqual(['for-its-blobs', 'loser-0', 'loser-1', 'v1', 'v2'])
  })

  test('keeping the same again changes nothing, and keeping none takes them away', async () => {
    const rig = await openConflict()
    const head = rig.ledger.head()
    await keep(rig)
    expect(rig.ledger.head()).toBe(head)
    await rig.content.keepLosers(KEY, [])
    expect(await tagsOf(rig)).toEqual(['v1', 'v2'])
    expect(rig.ledger.head()).toBe(head + 1)
  })

  test.each(['push', 'delete'])(
    'the next %s of the tag takes its losers away in the same commit',
    async (what) => {
      const rig = await openConflict()
      if (what === 'push') await rig.content.pushManifest(pushOf(other, 'v1'))
      else await rig.content.deleteTag(REPO, V1)
      expect(historyIn(rig)).toHaveLength(1)
      expect(await digestAt(rig, TAG)).toBeUndefined()
      expect(await tagsOf(rig)).toEqual(what === 'push' ? ['v1', 'v2'] : ['v2'])
      expect(await digestAt(rig, image.digest)).toBe(image.digest)
    },
  )

  test('a loser that lost no more while it was planned is not kept', async () => {
    const rig = await openConflict({ isKept: false })
    const planned = losersIn(rig)
    await rig.content.pushManifest(pushOf(other, 'v1'))
    expect(await rig.content.keepLosers(KEY, planned)).toEqual([])
    expect(await tagsOf(rig)).toEqual(['v1', 'v2'])
  })

  test('a tag of a loser cannot be pushed or deleted, and says what settles it', async () => {
    const rig = await openConflict()
    const pushed = rig.content.pushManifest(pushOf(other, TAG))
    await expect(pushed).rejects.toThrow(`to settle it push or delete v1`)
    expect(await codeOf(rig.content.pushManifest(pushOf(other, TAG)))).toBe('DENIED')
    expect(await codeOf(rig.content.deleteTag(REPO, TAG))).toBe('DENIED')
    expect(await codeOf(rig.content.deleteManifest(REPO, image.digest))).toBe('DENIED')
    await expect(rig.content.deleteManifest(REPO, image.digest)).rejects.toThrow(
      'push or delete v1',
    )
    expect(await digestAt(rig, TAG)).toBe(image.digest)
    await rig.content.deleteTag(REPO, V1)
    expect(await rig.content.deleteManifest(REPO, image.digest)).toBe(true)
  })

  test('a tag with records of its own wins over the tag of a loser, before and after', async () => {
    const rig = await openConflict({ isKept: false })
    await rig.content.pushManifest(pushOf(other, TAG))
    expect(await keep(rig)).toEqual([])
    expect(await digestAt(rig, TAG)).toBe(other.digest)
    await rig.content.deleteTag(REPO, TAG)
    await keep(rig)
    expect(await digestAt(rig, TAG)).toBe(image.digest)
    // Somebody else pushes a tag of that name; it is known here and not held yet.
    const theirs = createWriter('iad').put([], {
      ...KEY,
      reference: ref(TAG),
      digest: digestNamed('theirs'),
    })
    await rig.index.transact((tx) =>
      rig.ledger.add(tx, { ...theirs, record: { ...theirs.record } }),
    )
    expect(await digestAt(rig, TAG)).not.toBe(image.digest)
  })

  test('a loser whose tag is another one of its own is not asked for', async () => {
    const rig = await openConflict({ isKept: false })
    const digest = digestNamed('not here')
    const third = recordBy(identityNamed('nrt'), { ...KEY, digest, time: timeOfMs(START_MS) })
    await rig.index.transact((tx) => rig.ledger.add(tx, third))
    const asked = losersIn(rig).filter((one) => one.digest === digest)
    expect(await rig.content.keepLosers(KEY, asked)).toEqual(asked)
    await rig.content.pushManifest(pushOf(other, TAG))
    expect(await rig.content.keepLosers(KEY, asked)).toEqual([])
  })

  test.each([true, false])(
    'a loser is not collected while it is one, kept under a tag or not (%s); then it is superseded',
    async (isKept) => {
      const rig = await openConflict({ isKept })
      await rig.outlast()
      expect(await rig.collect()).toEqual([])
      expect(await digestAt(rig, image.digest)).toBe(image.digest)
      await rig.content.pushManifest(pushOf(other, 'v1'))
      await rig.outlast()
      expect(await rig.collect()).toContain(`manifest ${image.digest}`)
    },
  )

  test('what was unused before it lost begins its time anew after that', async () => {
    const rig = await openCollector()
    for (const one of [image, other]) await push(rig, REPO, 'v1', one)
    await rig.collector.collect()
    rig.clock.jump(DAY_MS - 1)
    const elsewhere = recordBy(identityNamed('iad'), {
      ...KEY,
      digest: image.digest,
      time: 1 as Time,
    })
    await rig.index.transact((tx) => rig.ledger.add(tx, elsewhere))
    await rig.content.pushManifest(pushOf(other, 'v1'))
    rig.clock.jump(2)
    expect(await rig.collect()).toEqual([])
    await rig.outlast()
    expect(await rig.collect()).toContain(`manifest ${image.digest}`)
  })

  test('a deleted digest of a loser hides nothing here', async () => {
    const rig = await openConflict()
    const gone = createWriter('iad').delete([], { ...KEY, reference: image.digest })
    await rig.index.transact((tx) => rig.ledger.add(tx, gone))
    await rig.content.drop({ ...KEY, reference: image.digest })
    expect(await digestAt(rig, TAG)).toBe(image.digest)
  })

  test('all of it survives a restart', async () => {
    const backend = await openMemoryBackend()
    const clock = createFakeClock()
    const rig = await openCollector({ backend, clock })
    await push(rig, REPO, 'v1', image)
    const elsewhere = recordBy(identityNamed('iad'), { ...KEY, time: timeOfMs(START_MS + 60_000) })
    await rig.index.transact((tx) => rig.ledger.add(tx, elsewhere))
    await keep(rig)
    const { disk } = rig
    const again = await openCollector({ backend, clock, disk, epoch: 'epoch-2' })
    expect(await digestAt(again, TAG)).toBe(image.digest)
    expect(again.ledger.entry(KEY)?.kept).toEqual([image.digest])
  })
})
