import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type DataDirectory, openDataDirectory } from '../../../src/node/data-directory.ts'
import type { Tag } from '../../../src/oci/name.ts'
import { type AdoptionOptions, adopt, isAdoptionOpen } from '../../../src/storage/adoption.ts'
import { createContentReader } from '../../../src/storage/content-reader.ts'
import type { Finding } from '../../../src/storage/finding.ts'
import { ENTRY, REPOSITORY, TAG } from '../../../src/storage/index-tables.ts'
import { type DistributionLayout, distributionLayout } from '../../helpers/distribution-layout.ts'
import {
  makeBlob,
  makeDockerImage,
  makeImage,
  makeIndex,
  manifestsOf,
} from '../../helpers/images.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'
import { createWriter, ref, repo } from '../../helpers/writers.ts'

const APP = repo('team/app')
const image = makeImage('image')
const docker = makeDockerImage('docker')
const index = makeIndex([makeImage('amd'), makeImage('arm')])
const signature = makeImage('signature', { subject: index })
const [layer = image] = image.blobs.slice(1)
const [unlinked = docker] = docker.blobs

async function withDirectory(
  fill: (layout: DistributionLayout) => Promise<void>,
  use: (layout: DistributionLayout, directory: string) => Promise<void>,
): Promise<void> {
  await using temporary = await makeTemporaryDirectory()
  const layout = distributionLayout(temporary.path)
  await fill(layout)
  await use(layout, temporary.path)
}

async function run(data: DataDirectory, options: Partial<AdoptionOptions> = {}) {
  const findings: Finding[] = []
  const { signal } = new AbortController()
  const onFinding = (one: Finding) => void findings.push(one)
  const adoption = await adopt(data, { signal, onFinding, ...options })
  return { ...adoption, all: findings, kinds: findings.map(({ kind }) => kind).sort() }
}

const readerOf = ({ index: rows, blobs, damage }: DataDirectory) =>
  createContentReader({ index: rows, blobs, damage })

/** Every entry of the feed, its numbers included: anything that is written shows there, or in the counts. */
const stateOf = async ({ ledger, index: rows }: DataDirectory) => ({
  entries: (await ledger.page(0, 1_000)).entries,
  repositories: await rows.page(REPOSITORY, { limit: 100 }),
  tags: await rows.page(TAG, { limit: 100 }),
})

async function fillAll(layout: DistributionLayout): Promise<void> {
  await layout.putImage(APP, 'v1', image)
  await layout.putImage(APP, 'v2', index)
  await layout.putImage(APP, undefined, signature)
  await layout.putImage('deep/er/till', '3.2.0', docker)
}

describe('storage / adoption', () => {
  test('what another registry wrote is served: images, indexes, tags, referrers, Docker schema 2', async () => {
    await withDirectory(fillAll, async (_, directory) => {
      await using data = await openDataDirectory(directory)
      expect(await run(data)).toMatchObject({
        repositories: 2,
        found: { manifests: 6, blobs: 15, tags: 3 },
        added: { manifests: 6, blobs: 15, tags: 3 },
        findings: 0,
        isDone: true,
      })
      const content = readerOf(data)
      expect(await content.tags(APP, { limit: 10 })).toEqual(['v1', 'v2'])
      expect(await content.repositories({ limit: 10 })).toEqual(['deep/er/till', APP])
      for (const root of [image, index, signature]) {
        for (const { digest, bytes, mediaType, blobs } of manifestsOf(root)) {
          const read = await content.readManifest(APP, digest)
          expect(read?.mediaType).toBe(mediaType)
          expect(Buffer.compare(read?.bytes ?? Buffer.alloc(0), bytes)).toBe(0)
          for (const blob of blobs) {
            expect(await content.statBlob(APP, blob.digest)).toEqual({ size: blob.bytes.length })
          }
        }
      }
      expect((await content.statManifest(repo('deep/er/till'), ref('3.2.0')))?.digest).toBe(
        docker.digest,
      )
      expect(
        (await Array.fromAsync(content.referrers(APP, index.digest))).map(({ digest }) => digest),
      ).toEqual([signature.digest])
      const { held, history } = data.ledger.entry({ repository: APP, reference: ref('v2') }) ?? {}
      expect([held, history]).toEqual([
        { digest: index.digest, coverage: 'all', isAdopted: true },
        [],
      ])
    })
  })

  test('a second run finds the same and changes nothing, link files included', async () => {
    await withDirectory(fillAll, async (layout, directory) => {
      const files = async () => {
        const paths = (await readdir(layout.root, { recursive: true })).sort()
        const stats = await Promise.all(paths.map((path) => stat(join(layout.root, path))))
        return paths.map((path, at) => [path, stats[at]?.mtimeMs])
      }
      const onDisk = await files()
      await using data = await openDataDirectory(directory)
      await run(data)
      const before = await stateOf(data)
      expect(await run(data)).toMatchObject({
        found: { manifests: 6, blobs: 15, tags: 3 },
        added: { manifests: 0, blobs: 0, tags: 0 },
        findings: 0,
      })
      expect(await stateOf(data)).toEqual(before)
      await data.links.settled()
      expect(await files()).toEqual(onDisk)
    })
  })

  test('a run that was cut off is open until another one has ended', async () => {
    await withDirectory(fillAll, async (_, directory) => {
      {
        await using data = await openDataDirectory(directory)
        const cut = new AbortController()
        cut.abort(new Error('the power went'))
        await expect(run(data, { signal: cut.signal })).rejects.toThrow('the power went')
        expect(isAdoptionOpen(data.index)).toBe(true)
      }
      await using data = await openDataDirectory(directory)
      expect(isAdoptionOpen(data.index)).toBe(true)
      expect(await run(data)).toMatchObject({ added: { manifests: 6, blobs: 15, tags: 3 } })
      expect(isAdoptionOpen(data.index)).toBe(false)
    })
  })

  test('what is wrong is said, each thing once, and the rest is served', async () => {
    const broken = makeImage('broken')
    const fill = async (layout: DistributionLayout) => {
      await fillAll(layout)
      await layout.remove(layout.blobFile(layer.digest))
      await layout.putImage(APP, 'broken', broken)
      await layout.write(layout.blobFile(broken.digest), broken.bytes.slice(1))
      const [lacking] = manifestsOf(index)
      await layout.remove(layout.revisionLink(APP, lacking?.digest ?? ''))
      await layout.remove(layout.layerLink('deep/er/till', unlinked.digest))
      await layout.write(layout.blobFile(docker.blobs[1]?.digest ?? ''), 'short')
      await layout.write(layout.tagLink(APP, 'empty'), '')
      await layout.write(layout.tagLink(APP, 'newline'), `${image.digest}\n`)
      await layout.write(layout.tagLink(APP, '.hidden'), image.digest)
      await layout.write(layout.revisionLink('UPPER', image.digest), image.digest)
    }
    await withDirectory(fill, async (_, directory) => {
      await using data = await openDataDirectory(directory)
      const { kinds, all, isDone } = await run(data)
      expect(kinds).toEqual([
        'blob-missing',
        'blob-missing',
        'blob-wrong-bytes',
        'blob-wrong-size',
        'child-missing',
        'link-wrong',
        'link-wrong',
        'name-invalid',
        'name-invalid',
        'tag-dangling',
      ])
      for (const one of all) {
        expect(one.path).toMatch(/^docker\/registry\/v2\//)
        expect(one.todo).not.toBe('')
        expect(one.came).not.toBe(one.expected)
      }
      expect(isDone).toBe(false)
      const content = readerOf(data)
      expect(await content.tags(APP, { limit: 10 })).toEqual(['v1', 'v2'])
      // An index without one of its children is served, and nobody is told that it is complete.
      expect(data.ledger.entry({ repository: APP, reference: ref('v2') })?.held?.coverage).toEqual(
        [],
      )
      // What is missing has a row and counts as damaged: a node fetches it again.
      expect(data.damage.has(layer.digest)).toBe(true)
      expect(data.damage.has(docker.blobs[1]?.digest ?? layer.digest)).toBe(true)
      // A blob without a link is not the repository's, also where its bytes are here for another one.
      expect(await content.statBlob(repo('deep/er/till'), unlinked.digest)).toBeUndefined()
      const till = { repository: repo('deep/er/till'), reference: ref('3.2.0') }
      expect(data.ledger.entry(till)?.held?.coverage).toEqual([])
      expect((await run(data)).kinds).toEqual(kinds)
    })
  })

  test('a manifest that cannot be read keeps the adoption open until a person says that it may go', async () => {
    const old = Buffer.from('{"schemaVersion":1,"name":"app","fsLayers":[]}')
    const manifest = { ...makeImage('old'), ...makeBlob(old) }
    const fill = (layout: DistributionLayout) => layout.putImage(APP, 'old', manifest)
    await withDirectory(fill, async (_, directory) => {
      await using data = await openDataDirectory(directory)
      expect(await run(data)).toMatchObject({
        kinds: ['manifest-unreadable', 'tag-dangling'],
        isDone: false,
      })
      expect(isAdoptionOpen(data.index)).toBe(true)
      expect(await run(data, { leaveUnreadable: true })).toMatchObject({ isDone: true })
      expect(isAdoptionOpen(data.index)).toBe(false)
    })
  })

  test('a record has the say over what lies on disk, and a delete keeps its tag and its manifest away', async () => {
    const fill = async (layout: DistributionLayout) => {
      await layout.putImage(APP, 'v1', image)
      await layout.putImage(APP, 'gone', docker)
    }
    await withDirectory(fill, async (_, directory) => {
      await using data = await openDataDirectory(directory)
      const hub = createWriter('hub')
      const key = { repository: APP, reference: ref('v1') }
      await data.index.transact((tx) => {
        data.ledger.add(tx, hub.put([], { ...key, digest: index.digest }))
        data.ledger.add(tx, hub.delete([], { ...key, reference: ref('gone') }))
        data.ledger.add(tx, hub.delete([], { ...key, reference: docker.digest }))
      })
      await run(data)
      expect(await readerOf(data).tags(APP, { limit: 10 })).toEqual([])
      expect(data.index.get(ENTRY, `${APP}\0v1`)?.held).toBeUndefined()
      expect(await readerOf(data).statManifest(APP, docker.digest)).toBeUndefined()
      expect(await readerOf(data).statManifest(APP, image.digest)).toBeDefined()
    })
  })

  test('an index that is there already is not new: nothing is adopted unasked', async () => {
    await withDirectory(fillAll, async (_, directory) => {
      await (await openDataDirectory(directory))[Symbol.asyncDispose]()
      await using data = await openDataDirectory(directory)
      expect(isAdoptionOpen(data.index)).toBe(true)
      await run(data)
      await data[Symbol.asyncDispose]()
      await using again = await openDataDirectory(directory)
      expect(isAdoptionOpen(again.index)).toBe(false)
    })
  })

  test('thousands of tags come in bounded steps', async () => {
    const fill = async (layout: DistributionLayout) => {
      await layout.putImage(APP, undefined, image)
      await Promise.all(
        Array.from({ length: 2_000 }, (_, at) =>
          layout.write(layout.tagLink(APP, `v${at}`), image.digest),
        ),
      )
    }
    await withDirectory(fill, async (_, directory) => {
      await using data = await openDataDirectory(directory)
      expect(await run(data)).toMatchObject({ found: { tags: 2_000 }, added: { tags: 2_000 } })
      const { ledger, index: rows } = data
      expect(await rows.page(TAG, { limit: 5_000 })).toHaveLength(2_000)
      expect(ledger.entry({ repository: APP, reference: 'v1999' as Tag })?.held?.digest).toBe(
        image.digest,
      )
    })
  })
})
