import { describe, expect, test } from 'vitest'
import { parseManifest } from '../../../src/oci/manifest.ts'
import type { Tag } from '../../../src/oci/name.ts'
import type { SignedRecord } from '../../../src/record/tag-record.ts'
import type { PulledManifest } from '../../../src/storage/content.ts'
import { type LinkFiles, NO_LINK_FILES } from '../../../src/storage/link-journal.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../../helpers/images.ts'
import { openStorage, push, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, type PutOf, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const KEY = { repository: REPO, reference: ref('v1') }
const image = makeImage('image')
const other = makeImage('other')

/** What a worker hands over: verified, children first. */
function pulled(root: TestManifest): PulledManifest[] {
  return manifestsOf(root).map(({ digest, bytes, mediaType }) => {
    const parse = parseManifest(bytes, mediaType)
    if (parse.kind === 'invalid') throw new Error(parse.reason)
    return { digest, bytes, manifest: parse.manifest }
  })
}

async function commit(rig: StorageRig, root: TestManifest, references = ['v1']): Promise<void> {
  for (const manifest of manifestsOf(root)) {
    for (const blob of manifest.blobs) await rig.blobs.put(blob.digest, blob.bytes)
  }
  const named = references.map(ref)
  await rig.content.commitPulled({ repository: REPO, manifests: pulled(root), references: named })
}

/** A record of the hub, known here. */
async function learn(rig: StorageRig, signed: SignedRecord): Promise<SignedRecord> {
  await rig.index.transact((tx) => rig.ledger.add(tx, signed))
  return signed
}

function setUp() {
  const clock = createFakeClock()
  const hub = createWriter('hub', { clock })
  const put = (history: readonly SignedRecord[], root: TestManifest, key: Partial<PutOf> = {}) =>
    hub.put(history, { ...KEY, ...key, digest: root.digest })
  return { clock, hub, put }
}

const shown = async (rig: StorageRig, reference = 'v1') =>
  (await rig.content.statManifest(REPO, ref(reference)))?.digest

const visibleEvents = (rig: StorageRig) =>
  rig.happened.filter(({ kind }) => kind === 'visible-changed')

describe('storage / content: what the mesh brings', () => {
  test('a pulled image is shown with everything below it, in one commit', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const index = makeIndex([image, other])
    await learn(rig, setUp().put([], index))
    expect(await shown(rig)).toBeUndefined()
    await commit(rig, index)
    expect(await shown(rig)).toBe(index.digest)
    for (const { digest, blobs } of manifestsOf(index)) {
      expect(await shown(rig, digest)).toBe(digest)
      for (const blob of blobs) {
        expect(await rig.content.statBlob(REPO, blob.digest)).toEqual({ size: blob.bytes.length })
      }
    }
    expect(visibleEvents(rig)).toEqual([
      { kind: 'visible-changed', key: KEY, digest: index.digest },
    ])
    expect(rig.ledger.entry(KEY)?.held).toEqual({ digest: index.digest, coverage: 'all' })
  })

  test('an image that newer news overtook is kept and not shown', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put } = setUp()
    const first = await learn(rig, put([], image))
    await learn(rig, put([first], other))
    await commit(rig, image)
    expect(await shown(rig)).toBeUndefined()
    expect(await shown(rig, image.digest)).toBe(image.digest)
    await commit(rig, other)
    expect(await shown(rig)).toBe(other.digest)
  })

  test('until the newer image is here the older one is shown', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put } = setUp()
    const first = await learn(rig, put([], image))
    await commit(rig, image)
    await learn(rig, put([first], other))
    expect(await shown(rig)).toBe(image.digest)
    await commit(rig, other)
    expect(await shown(rig)).toBe(other.digest)
  })

  test('each reference is judged by its own newest record', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put, hub } = setUp()
    await learn(rig, put([], image))
    const moved = await learn(rig, put([], image, { reference: ref('moved') }))
    await learn(rig, put([moved], other, { reference: ref('moved') }))
    const gone = await learn(rig, put([], image, { reference: ref('gone') }))
    await learn(rig, hub.delete([gone], { ...KEY, reference: ref('gone') }))
    await commit(rig, image, ['v1', 'moved', 'gone', 'unknown', image.digest])
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual(['v1'])
  })

  test('a commit that says nothing new changes nothing', async () => {
    const rig = await openStorage({ writer: 'edge' })
    await learn(rig, setUp().put([], image))
    await commit(rig, image)
    const [head, events] = [rig.ledger.head(), rig.happened.length]
    await commit(rig, image)
    expect([rig.ledger.head(), rig.happened.length]).toEqual([head, events])
  })

  test('bytes that are not what their digest says are refused, and nothing is shown', async () => {
    const rig = await openStorage({ writer: 'edge' })
    await learn(rig, setUp().put([], image))
    const [{ manifest } = { manifest: undefined }] = pulled(image)
    if (manifest === undefined) throw new Error('one manifest')
    const manifests = [{ digest: image.digest, bytes: other.bytes, manifest }]
    const commits = rig.content.commitPulled({
      repository: REPO,
      manifests,
      references: [ref('v1')],
    })
    await expect(commits).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await shown(rig)).toBeUndefined()
    expect(rig.content.isComplete(REPO, image.digest)).toBe(false)
  })

  test('what is complete already is shown without another pull', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put } = setUp()
    await learn(rig, put([], image))
    expect(await rig.content.show(KEY)).toBe(false)
    await commit(rig, image, [])
    expect(await shown(rig)).toBeUndefined()
    expect(rig.content.isComplete(REPO, image.digest)).toBe(true)
    expect(await rig.content.show(KEY)).toBe(true)
    expect(await shown(rig)).toBe(image.digest)
    expect(await rig.content.show({ ...KEY, reference: ref('unknown') })).toBe(false)
  })

  test('complete in another repository is not complete here', async () => {
    const rig = await openStorage({ writer: 'edge' })
    await push(rig, 'elsewhere', 'v1', image)
    expect(rig.content.isComplete(repo('elsewhere'), image.digest)).toBe(true)
    expect(rig.content.isComplete(REPO, image.digest)).toBe(false)
  })

  test('a delete that is applied takes the tag away and leaves the manifest by digest', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put, hub } = setUp()
    const first = await learn(rig, put([], image))
    await commit(rig, image)
    await learn(rig, hub.delete([first], KEY))
    expect(await shown(rig)).toBe(image.digest)
    await rig.content.drop(KEY)
    expect(await shown(rig)).toBeUndefined()
    expect(await shown(rig, image.digest)).toBe(image.digest)
    expect(visibleEvents(rig).at(-1)).toEqual({ kind: 'visible-changed', key: KEY })
  })

  test('a delete that newer news overtook is not applied', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put, hub } = setUp()
    const first = await learn(rig, put([], image))
    await commit(rig, image)
    const gone = await learn(rig, hub.delete([first], KEY))
    await learn(rig, put([gone], other))
    await rig.content.drop(KEY)
    expect(await shown(rig)).toBe(image.digest)
    await rig.content.drop({ ...KEY, reference: ref('unknown') })
  })

  test('a delete by digest removes the manifest, unless a tag or an index still names it', async () => {
    const rig = await openStorage({ writer: 'edge' })
    const { put, hub } = setUp()
    const child = { repository: REPO, reference: image.digest }
    await learn(rig, put([], makeIndex([image])))
    await commit(rig, makeIndex([image]))
    await learn(rig, hub.delete([], child))
    await rig.content.drop(child)
    expect(await shown(rig, image.digest)).toBe(image.digest)

    await learn(rig, put([], other, { reference: ref('tagged') }))
    await commit(rig, other, ['tagged'])
    const tagged = { repository: REPO, reference: other.digest }
    await learn(rig, hub.delete([], tagged))
    await rig.content.drop(tagged)
    expect(await shown(rig, other.digest)).toBe(other.digest)

    const alone = makeImage('alone')
    await commit(rig, alone, [])
    const key = { repository: REPO, reference: alone.digest }
    await learn(rig, hub.delete([], key))
    await rig.content.drop(key)
    expect(await shown(rig, alone.digest)).toBeUndefined()
  })
})

describe('storage / content: a crash', () => {
  test('between the commit and the link files loses neither: the next start writes the files', async () => {
    const failing: LinkFiles = {
      ...NO_LINK_FILES,
      apply: async () => {
        throw new Error('the power went')
      },
    }
    const before = await openStorage({ linkFiles: failing })
    await push(before, 'app', 'v1', image)
    await push(before, 'app', 'v1', other)
    await before.content.deleteTag(REPO, ref('v1') as Tag)
    await push(before, 'app', 'v2', other)
    await settle()
    const { backend, disk } = before
    const after = await openStorage({ backend, disk, epoch: 'epoch-2' })
    await after.links.settled()
    const paths = after.applied.map(({ kind, path }) => `${kind} ${path.split('/app/')[1]}`)
    const hex = (root: TestManifest) => root.digest.slice(7)
    expect(paths.filter((path) => path.includes('/tags/'))).toEqual([
      `write _manifests/tags/v1/index/sha256/${hex(image)}/link`,
      'write _manifests/tags/v1/current/link',
      `write _manifests/tags/v1/index/sha256/${hex(other)}/link`,
      'write _manifests/tags/v1/current/link',
      'remove _manifests/tags/v1',
      `write _manifests/tags/v2/index/sha256/${hex(other)}/link`,
      'write _manifests/tags/v2/current/link',
    ])
    // Children first: a reader of the files never finds a revision whose layers are not linked.
    const revision = paths.indexOf(`write _manifests/revisions/sha256/${hex(image)}/link`)
    for (const { digest } of image.blobs) {
      const layer = paths.indexOf(`write _layers/sha256/${digest.slice(7)}/link`)
      expect(layer).toBeGreaterThanOrEqual(0)
      expect(layer).toBeLessThan(revision)
    }
    expect(await shown(after, 'v2')).toBe(other.digest)
  })

  test('after a restart a push is signed over what was known before, with a later time', async () => {
    const before = await openStorage()
    await push(before, 'app', 'v1', image)
    const first = before.ledger.entry(KEY)?.history[0]
    const { backend, disk, clock } = before
    clock.jump(-3_600_000)
    const after = await openStorage({ backend, disk, clock, epoch: 'epoch-2' })
    await push(after, 'app', 'v2', other)
    await push(after, 'app', 'v1', other)
    const [second] = after.ledger.entry(KEY)?.history ?? []
    expect(after.ledger.entry(KEY)?.history).toHaveLength(1)
    expect(second?.record.time).toBeGreaterThan(first?.record.time ?? 0)
  })
})
