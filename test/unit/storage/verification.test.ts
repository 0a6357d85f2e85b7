import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { type DataDirectory, openDataDirectory } from '../../../src/node/data-directory.ts'
import { adopt } from '../../../src/storage/adoption.ts'
import type { Finding, FindingKind } from '../../../src/storage/finding.ts'
import { BLOB, DAMAGED, MANIFEST, pairKey, TAG } from '../../../src/storage/index-tables.ts'
import { verifyDirectory } from '../../../src/storage/verification.ts'
import { type DistributionLayout, distributionLayout } from '../../helpers/distribution-layout.ts'
import { bytesOf, makeBlob, makeImage, makeIndex } from '../../helpers/images.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { createWriter, ref, repo } from '../../helpers/writers.ts'

const APP = repo('team/app')
const image = makeImage('image')
const index = makeIndex([makeImage('amd'), makeImage('arm')])
const stranger = makeImage('stranger')
const [, layer = image] = image.blobs

interface World {
  readonly layout: DistributionLayout
  readonly directory: string
  readonly data: DataDirectory
}

async function withContent(use: (world: World) => Promise<void>): Promise<void> {
  await using temporary = await makeTemporaryDirectory()
  const directory = temporary.path
  const layout = distributionLayout(directory)
  await layout.putImage(APP, 'v1', image)
  await layout.putImage(APP, 'v2', index)
  await using data = await openDataDirectory(directory)
  await adopt(data, { signal: new AbortController().signal, onFinding: () => {} })
  await use({ layout, directory, data })
}

async function verify({ data }: World, mustRepair = false) {
  const all: Finding[] = []
  const verification = await verifyDirectory(
    { ...data, clock: systemClock, random: systemRandom },
    {
      mustRepair,
      signal: new AbortController().signal,
      onFinding: (one) => void all.push(one),
    },
  )
  return { ...verification, all, kinds: all.map(({ kind }) => kind) }
}

type Damaging = (world: World) => Promise<unknown>

const transact =
  (work: Parameters<DataDirectory['index']['transact']>[0]): Damaging =>
  ({ data }) =>
    data.index.transact(work)

const key = (name: string) => pairKey(APP, name)

/** Damage that a repair puts right from what is here. */
const MENDED: readonly (readonly [string, FindingKind, Damaging])[] = [
  [
    'a tag link that is gone',
    'link-missing',
    ({ layout }) => layout.remove(layout.tagLink(APP, 'v1')),
  ],
  [
    'a tag link with a newline',
    'link-wrong',
    ({ layout }) => layout.write(layout.tagLink(APP, 'v1'), `${image.digest}\n`),
  ],
  [
    'a tag link that shows another manifest',
    'link-wrong',
    ({ layout }) => layout.write(layout.tagLink(APP, 'v1'), index.digest),
  ],
  [
    'a revision link that is gone',
    'link-missing',
    ({ layout }) => layout.remove(layout.revisionLink(APP, image.digest)),
  ],
  [
    'an empty layer link',
    'link-wrong',
    ({ layout }) => layout.write(layout.layerLink(APP, layer.digest), ''),
  ],
  [
    'a layer link without a blob',
    'link-unclaimed',
    ({ layout }) => layout.write(layout.layerLink(APP, stranger.digest), stranger.digest),
  ],
  [
    'a tag link to nothing',
    'link-unclaimed',
    ({ layout }) => layout.write(layout.tagLink(APP, 'lost'), stranger.digest),
  ],
  [
    'a tag without a row',
    'link-unclaimed',
    ({ layout }) => layout.write(layout.tagLink(APP, 'v3'), index.digest),
  ],
  [
    'a row with another size than the file',
    'row-wrong',
    transact((tx) => tx.put(BLOB, key(layer.digest), { size: 1 })),
  ],
  [
    'a blob that a manifest names and that has no row',
    'row-wrong',
    async ({ layout, data }) => {
      await data.index.transact((tx) => tx.delete(BLOB, key(layer.digest)))
      await layout.remove(layout.layerLink(APP, layer.digest))
    },
  ],
  [
    'a manifest row that says something else',
    'row-wrong',
    ({ data }) => {
      const row = data.index.get(MANIFEST, key(index.digest))
      if (row === undefined) throw new Error('no row')
      return data.index.transact((tx) =>
        tx.put(MANIFEST, key(index.digest), { ...row, manifests: row.manifests.slice(1) }),
      )
    },
  ],
  [
    'a tag whose manifest is unknown',
    'tag-dangling',
    async ({ data }) => {
      const tag = { repository: APP, reference: ref('v9') }
      await data.index.transact((tx) =>
        data.ledger.hold(tx, tag, { digest: stranger.digest, coverage: 'all' }),
      )
    },
  ],
]

/** Damage whose bytes must come from elsewhere. */
const LEFT: readonly (readonly [string, FindingKind, Damaging])[] = [
  [
    'a blob that was cut',
    'blob-wrong-size',
    ({ layout }) => layout.write(layout.blobFile(layer.digest), layer.bytes.slice(0, 5)),
  ],
  [
    'a blob with other bytes of the same number',
    'blob-wrong-bytes',
    ({ layout }) => layout.write(layout.blobFile(layer.digest), bytesOf('x', layer.bytes.length)),
  ],
  [
    'a blob that is gone',
    'blob-missing',
    ({ layout }) => layout.remove(layout.blobFile(layer.digest)),
  ],
]

describe('storage / verification', () => {
  test('where all is well it says so, with what it read', async () => {
    await withContent(async (world) => {
      const { kinds, files, bytes, left, unclaimed } = await verify(world)
      expect({ kinds, files, left, unclaimed }).toEqual({
        kinds: [],
        files: 13,
        left: 0,
        unclaimed: 0,
      })
      expect(bytes).toBeGreaterThan(1_000)
    })
  })

  test.each(MENDED)(
    '%s is found, left alone, and put right by a repair',
    async (_, kind, damage) => {
      await withContent(async (world) => {
        await damage(world)
        for (let run = 0; run < 2; run += 1) {
          expect(await verify(world)).toMatchObject({ kinds: [kind], left: 1 })
        }
        const { kinds, left, all } = await verify(world, true)
        expect({ kinds, left }).toEqual({ kinds: [kind], left: 0 })
        expect(all[0]?.repair).toBeDefined()
        expect(await verify(world)).toMatchObject({ kinds: [], left: 0 })
      })
    },
  )

  test.each(LEFT)(
    '%s is found, moved aside and noted by a repair, and whole when its bytes are back',
    async (_, kind, damage) => {
      await withContent(async (world) => {
        const { data, layout, directory } = world
        await damage(world)
        const before = await readFile(layout.blobFile(layer.digest)).catch(() => undefined)
        expect(await verify(world)).toMatchObject({ kinds: [kind], left: 1 })
        expect(data.index.get(DAMAGED, layer.digest)).toBeUndefined()
        expect(await verify(world, true)).toMatchObject({ kinds: [kind], left: 1 })
        expect(data.index.get(DAMAGED, layer.digest)?.repositories).toEqual([APP])
        const aside = join(directory, 'entrepot/damaged', layer.digest)
        expect(await readFile(aside).catch(() => undefined)).toEqual(before)
        expect(await verify(world)).toMatchObject({ kinds: ['blob-missing'], left: 1 })

        await layout.putBlob(layer)
        expect(await verify(world, true)).toMatchObject({ kinds: [], left: 0 })
        expect(data.index.get(DAMAGED, layer.digest)).toBeUndefined()
      })
    },
  )

  test('a damaged manifest is one finding, and both copies of what was moved aside are kept', async () => {
    await withContent(async (world) => {
      const { layout, directory } = world
      for (const text of ['first', 'second']) {
        await layout.write(layout.blobFile(image.digest), text)
        expect((await verify(world, true)).kinds).toEqual(['blob-wrong-bytes'])
      }
      const aside = join(directory, 'entrepot/damaged')
      expect(await readFile(join(aside, image.digest), 'utf8')).toBe('first')
      // The second one has a name beside it, so that a return of the first finds its place free.
      await rename(join(aside, image.digest), layout.blobFile(image.digest))
      expect((await verify(world, true)).kinds).toEqual(['blob-wrong-bytes'])
    })
  })

  test('links of whole content without a row are taken in, tag and all', async () => {
    await withContent(async (world) => {
      await world.layout.putImage(APP, 'new', stranger)
      const { kinds, left } = await verify(world, true)
      expect([new Set(kinds), kinds.length, left]).toEqual([new Set(['link-unclaimed']), 5, 0])
      expect(world.data.index.get(TAG, key('new'))).toBe(stranger.digest)
      expect((await verify(world)).kinds).toEqual([])
    })
  })

  test('the link of a tag that the index knows to be deleted is removed, not taken in', async () => {
    await withContent(async (world) => {
      const { data, layout } = world
      const gone = { repository: APP, reference: ref('gone') }
      await data.index.transact((tx) => data.ledger.add(tx, createWriter('hub').delete([], gone)))
      await layout.write(layout.tagLink(APP, 'gone'), index.digest)
      expect(await verify(world, true)).toMatchObject({ kinds: ['link-unclaimed'], left: 0 })
      expect(data.index.get(TAG, key('gone'))).toBeUndefined()
      await expect(readFile(layout.tagLink(APP, 'gone'))).rejects.toThrow('ENOENT')
    })
  })

  test('a file that no repository has is counted, and no damage', async () => {
    await withContent(async (world) => {
      await world.layout.putBlob(makeBlob(bytesOf('spare', 100)))
      expect(await verify(world)).toMatchObject({ kinds: [], left: 0, unclaimed: 1 })
    })
  })

  test('a directory that was not adopted is refused: everything in it would look unclaimed', async () => {
    await using temporary = await makeTemporaryDirectory()
    await distributionLayout(temporary.path).putImage(APP, 'v1', image)
    await using data = await openDataDirectory(temporary.path)
    const world = { data, directory: temporary.path, layout: distributionLayout(temporary.path) }
    await expect(verify(world, true)).rejects.toMatchObject({ code: 'ADOPTION_OPEN' })
  })
})
