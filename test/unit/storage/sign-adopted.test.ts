import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { parseTag, type Tag } from '../../../src/oci/name.ts'
import { ADOPTED, adoptedName, UNSIGNED } from '../../../src/storage/adopted-tags.ts'
import { manifestRow } from '../../../src/storage/content-rows.ts'
import { META } from '../../../src/storage/index-tables.ts'
import { isUnsigned, signAdopted } from '../../../src/storage/sign-adopted.ts'
import { makeImage, type TestManifest } from '../../helpers/images.ts'
import { openStorage, type StorageRig } from '../../helpers/storage-rig.ts'
import { createWriter, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('demo/app')
const [image, other] = [makeImage('image'), makeImage('other')]
const subject = makeImage('signature', { subject: image })

async function adopt(
  { blobs, index, rows, ledger }: StorageRig,
  root: TestManifest,
  tags: readonly string[],
  coverage: 'all' | readonly string[] = 'all',
): Promise<void> {
  const parse = parseManifest(root.bytes, root.mediaType)
  if (parse.kind === 'invalid') throw new Error(parse.reason)
  for (const { digest, bytes } of [...root.blobs, root]) await blobs.put(digest, bytes)
  await index.transact((tx) => {
    tx.put(META, ADOPTED, { version: UNSIGNED })
    rows.putManifest(tx, REPO, root.digest, manifestRow(parse.manifest, root.bytes.length))
    for (const reference of [...tags.map(ref), root.digest]) {
      const held = { digest: root.digest, coverage, isAdopted: true } as const
      ledger.hold(tx, { repository: REPO, reference }, held)
    }
  })
}

const sign = (rig: StorageRig, isWriter = true, signal = new AbortController().signal) =>
  signAdopted({ ...rig, author: rig.signer, isWriter: () => isWriter }, { signal })
const entryOf = ({ ledger }: StorageRig, reference: string) =>
  ledger.entry({ repository: REPO, reference: ref(reference) })
const digestAt = async ({ content }: StorageRig, tag: string) =>
  (await content.statManifest(REPO, ref(tag)))?.digest
/** The mesh's word on a tag. */
const said = (tag: string, root: TestManifest) =>
  createWriter('elsewhere').put([], { repository: REPO, reference: ref(tag), digest: root.digest })

describe('storage / sign-adopted', () => {
  test('a writer signs what no record claims, as if it had been pushed here', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['v1', 'latest'])
    await adopt(rig, subject, [])
    expect(isUnsigned(rig.index)).toBe(true)
    expect(await sign(rig)).toEqual({ tags: 2, digests: 2, left: 0 })
    const [record] = entryOf(rig, 'v1')?.history ?? []
    const { digest, mediaType, bytes } = image
    expect(record?.record).toMatchObject({ kind: 'put', digest, mediaType, size: bytes.length })
    expect(entryOf(rig, 'v1')?.held).toEqual({ digest, coverage: 'all' })
    const about = entryOf(rig, subject.digest)?.history[0]?.record
    expect(about).toMatchObject({ subject: image.digest })
    const told = rig.happened.filter(({ kind }) => kind === 'record-stored')
    expect(told).toHaveLength(4)
    expect(isUnsigned(rig.index)).toBe(false)
    expect(await sign(rig)).toEqual({ tags: 0, digests: 0, left: 0 })
  })

  test('what the mesh knows, what lacks a part, and what others write is left as it is', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['v1', 'v2'])
    await adopt(rig, other, ['part'], [])
    await rig.index.transact((tx) => rig.ledger.add(tx, said('v1', image)))
    expect(await sign(rig, false)).toMatchObject({ tags: 0, left: 4 })
    // A later generation of the topology may make it their writer.
    expect(isUnsigned(rig.index)).toBe(true)
    expect(await sign(rig)).toEqual({ tags: 1, digests: 1, left: 2 })
    expect(entryOf(rig, 'v1')?.history).toHaveLength(1)
    expect(entryOf(rig, 'part')?.history).toEqual([])
  })

  test('what is kept under another name while it signs is signed too, wherever its name stands', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['a', ...Array.from({ length: 150 }, (_, at) => `v${at}`)])
    let moving: Promise<void> | undefined
    rig.events.on('record-stored', () => {
      const held = { digest: image.digest, coverage: 'all', isAdopted: true } as const
      moving ??= rig.index.transact((tx) => rig.adopted.keep(tx, REPO, 'a', held))
    })
    await sign(rig)
    await moving
    expect(entryOf(rig, adoptedName(ref('a') as Tag, 'hub'))?.history).toHaveLength(1)
    expect(isUnsigned(rig.index)).toBe(false)
  })

  test('a crash in the middle costs nothing: what has a record is not signed again', async () => {
    await using rig = await openStorage()
    await adopt(
      rig,
      image,
      Array.from({ length: 150 }, (_, at) => `v${at}`),
    )
    const cut = new AbortController()
    rig.events.on('record-stored', () => cut.abort())
    await expect(sign(rig, true, cut.signal)).rejects.toThrow()
    const before = rig.happened.filter(({ kind }) => kind === 'record-stored').length
    expect(before).toBe(64)
    const { backend, disk } = rig
    const again = await openStorage({ backend, disk, epoch: 'epoch-2' })
    expect(isUnsigned(again.index)).toBe(true)
    expect(await sign(again)).toEqual({ tags: 150 - before + 1, digests: 0, left: 0 })
  })
})

describe('storage / adopted-tags', () => {
  test('where both know a tag and differ the mesh wins, and what was on disk stays under another name', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['v1'])
    await adopt(rig, other, ['other'])
    await rig.index.transact((tx) => rig.ledger.add(tx, said('v1', other)))
    expect(await rig.content.show({ repository: REPO, reference: ref('v1') })).toBe(true)
    expect(await digestAt(rig, 'v1')).toBe(other.digest)
    expect(await digestAt(rig, 'v1--adopted-hub')).toBe(image.digest)
    expect(rig.kept).toEqual([['v1', 'v1--adopted-hub']])
    await rig.links.settled()
    const link = 'docker/registry/v2/repositories/demo/app/_manifests/tags/v1--adopted-hub'
    expect(rig.applied.some(({ path }) => path.startsWith(link))).toBe(true)
    await sign(rig)
    expect(entryOf(rig, 'v1--adopted-hub')?.history).toHaveLength(1)
  })

  test('so it is where the mesh says that the tag was deleted; the same content is not kept twice', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['v1', 'v2'])
    const elsewhere = createWriter('elsewhere')
    const key = (tag: string) => ({ repository: REPO, reference: ref(tag) })
    await rig.index.transact((tx) => {
      rig.ledger.add(tx, elsewhere.delete([], key('v1')))
      rig.ledger.add(tx, said('v2', image))
    })
    await rig.content.drop(key('v1'))
    await rig.content.show(key('v2'))
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual(['v1--adopted-hub', 'v2'])
    // The digest too was deleted by somebody who did not know of the tag that was found here.
    await rig.index.transact((tx) => rig.ledger.add(tx, elsewhere.delete([], key(image.digest))))
    await rig.content.drop(key(image.digest))
    expect(await digestAt(rig, 'v1--adopted-hub')).toBe(image.digest)
  })

  test('a tag that was pushed here and is superseded leaves nothing behind', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['v1'])
    await adopt(rig, other, [])
    await sign(rig)
    const history = entryOf(rig, 'v1')?.history ?? []
    const key = { repository: REPO, reference: ref('v1') }
    const newer = createWriter('elsewhere').put(history, { ...key, digest: other.digest })
    await rig.index.transact((tx) => rig.ledger.add(tx, newer))
    await rig.content.show(key)
    expect(await rig.content.tags(REPO, { limit: 10 })).toEqual(['v1'])
  })

  test('a name that is taken by other content gets a number', async () => {
    await using rig = await openStorage()
    await adopt(rig, image, ['v1'])
    await adopt(rig, other, ['v1--adopted-hub'])
    await rig.index.transact((tx) => rig.ledger.add(tx, said('v1', other)))
    await rig.content.show({ repository: REPO, reference: ref('v1') })
    expect(await digestAt(rig, 'v1--adopted-hub')).toBe(other.digest)
    expect(await digestAt(rig, 'v1--adopted-hub-2')).toBe(image.digest)
  })

  test('names are tags, and differ where the tags differ', () => {
    const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/)
    const node = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
    fc.assert(
      fc.property(tag, tag, node, fc.integer({ min: 1, max: 99 }), (a, b, name, attempt) => {
        const [one, two] = [a, b].map((text) => adoptedName(text as Tag, name, attempt))
        expect(parseTag(one ?? '')).toBe(one)
        if (a !== b) expect(one).not.toBe(two)
      }),
    )
    const long = 'a'.repeat(127)
    const name = (last: string) => adoptedName(`${long}${last}` as Tag, 'hub')
    expect(name('b')).toHaveLength(128)
    expect(name('b')).not.toBe(name('c'))
  })
})
