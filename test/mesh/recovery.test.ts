import { cp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { distributionLayout } from '../helpers/distribution-layout.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../helpers/images.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { startPair } from '../helpers/pair.ts'
import {
  comparePull,
  digestAt,
  pushBlob,
  pushImage,
  putManifest,
} from '../helpers/registry-calls.ts'

const REPO = 'demo/app'
/** As operators have it: neighbours are waited for. A machine that is busy with other tests refuses no push. */
const env = { ENTREPOT_LIMIT_READ_BACK: '10000', ENTREPOT_LIMIT_LOOP_DELAY: '3600000' }

const shows = (node: NodeProcess, tag: string, image: TestManifest | undefined) =>
  eventually(async () => (await digestAt(node.url, REPO, tag)) === image?.digest)

async function remove({ url }: NodeProcess, tag: string): Promise<void> {
  const answer = await fetch(`${url}/v2/${REPO}/manifests/${tag}`, { method: 'DELETE' })
  expect(answer.status).toBe(202)
}

const indexOf = ({ dataDirectory }: NodeProcess) => join(dataDirectory, 'entrepot', 'index')

/** Never on the way of content: what a silent difference would log, and what was damaged. */
function expectQuiet(...nodes: readonly NodeProcess[]): void {
  for (const node of nodes) expect(node.log()).not.toContain('records were missing here')
}

test('a writer that lost its disk reads back what it signed, and only then signs anything new', async () => {
  await using mesh = await startPair({ env })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const images = Array.from({ length: 6 }, (_, at) => makeImage(`image ${at}`))
  const big = makeIndex([makeImage('amd', { layerBytes: 200_000 }), makeImage('arm')])
  for (const [at, image] of images.entries()) await pushImage(hub.url, REPO, `v${at}`, image)
  await pushImage(hub.url, REPO, 'big', big)
  await shows(edge, 'big', big)
  await remove(hub, 'v5')
  await eventually(async () => (await recordsOf(edge, REPO)).some((row) => row.deletedAtOrigin))
  await hub.stop()
  await rm(join(hub.dataDirectory, 'docker'), { recursive: true })
  await rm(indexOf(hub), { recursive: true })
  edge.pause()
  await hub.start()
  const moved = makeImage('moved')
  for (const blob of moved.blobs) await pushBlob(hub.url, REPO, blob)
  // It waits for the records of the former life, which cannot come yet; what is not signed does not wait.
  let isSigned = false
  const pushing = putManifest(hub.url, REPO, 'v0', moved).then(() => {
    isSigned = true
  })
  for (const blob of makeImage('blobs', { layers: 4 }).blobs) await pushBlob(hub.url, REPO, blob)
  expect(isSigned).toBe(false)
  edge.continue()
  await pushing
  await shows(edge, 'v0', moved)
  for (const node of [hub, edge]) {
    const row = (await recordsOf(node, REPO)).find(({ reference }) => reference === 'v0')
    expect(row?.known).toHaveLength(1)
  }
  for (const [at, image] of images.entries()) {
    if (at === 0 || at === 5) continue
    await shows(hub, `v${at}`, image)
    await comparePull(hub.url, REPO, `v${at}`, image)
  }
  await shows(hub, 'big', big)
  await comparePull(hub.url, REPO, 'big', big)
  expect(await digestAt(hub.url, REPO, 'v5')).toBeUndefined()
  expectQuiet(hub, edge)
})

test('an index that was put back to a backup comes back to the present, and no byte is fetched for it', async () => {
  await using mesh = await startPair({ env })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [first, second, third] = ['first', 'second', 'third'].map((seed) => makeImage(seed))
  if (!first || !second || !third) throw new Error('three images')
  await pushImage(hub.url, REPO, 'v1', first)
  await pushImage(hub.url, REPO, 'gone', second)
  await shows(edge, 'gone', second)
  await hub.stop()
  const backup = join(mesh.directory, 'backup')
  await cp(indexOf(hub), backup, { recursive: true })
  await hub.start()
  await pushImage(hub.url, REPO, 'v1', third)
  await pushImage(hub.url, REPO, 'v2', first)
  await remove(hub, 'gone')
  await shows(edge, 'v2', first)
  await eventually(async () => (await recordsOf(edge, REPO)).some((row) => row.deletedAtOrigin))
  await hub.stop()
  await rm(indexOf(hub), { recursive: true })
  await cp(backup, indexOf(hub), { recursive: true })
  await hub.start()
  await shows(hub, 'v1', third)
  await shows(hub, 'v2', first)
  await shows(hub, 'gone', undefined)
  await comparePull(hub.url, REPO, 'v1', third)
  expect((await statusOf(hub)).counters.bytesFetched ?? 0).toBe(0)
  // What is pushed now has numbers that the edge has read before, in another life of the hub.
  await pushImage(hub.url, REPO, 'v3', second)
  await shows(edge, 'v3', second)
  await shows(edge, 'v1', third)
  expectQuiet(hub, edge)
})

test('blobs that went while the node was stopped are back after the start, without anybody asking for them', async () => {
  await using mesh = await startPair({ env })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const image = makeIndex([makeImage('amd', { layers: 3, layerBytes: 50_000 }), makeImage('arm')])
  await pushImage(hub.url, REPO, 'v1', image)
  await shows(edge, 'v1', image)
  for (const node of [edge, hub]) {
    await node.stop()
    const layout = distributionLayout(node.dataDirectory)
    const all = manifestsOf(image).flatMap((manifest) => [manifest, ...manifest.blobs])
    const [lost, cut, manifest] = [all[1], all[2], image]
    if (lost === undefined || cut === undefined) throw new Error('an image has blobs')
    await rm(layout.blobFile(lost.digest))
    await rm(layout.blobFile(manifest.digest))
    await writeFile(layout.blobFile(cut.digest), cut.bytes.subarray(1))
    await node.start()
    for (const { digest, bytes } of [lost, cut, manifest]) {
      const file = layout.blobFile(digest)
      await eventually(async () => (await stat(file).catch(() => undefined))?.size === bytes.length)
      expect(digestOf(await readFile(file))).toBe(digest)
    }
    await comparePull(node.url, REPO, 'v1', image)
  }
})

test('a directory that another registry filled is signed by its writer, and goes to every node', async () => {
  await using mesh = await startPair({ env, start: [] })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const image = makeIndex([makeImage('amd'), makeImage('arm')])
  const signature = makeImage('signature', { subject: image })
  const layout = distributionLayout(hub.dataDirectory)
  await layout.putImage(REPO, 'v1', image)
  await layout.putImage(REPO, undefined, signature)
  await Promise.all([hub.start(), edge.start()])
  await shows(edge, 'v1', image)
  await comparePull(edge.url, REPO, 'v1', image)
  await eventually(async () => (await digestAt(edge.url, REPO, signature.digest)) !== undefined)
  expect(hub.log()).toContain('adopted content signed as pushed here')
})

test('where an adopted tag and the mesh differ, the mesh has the say, and the other one stays under its own name', async () => {
  await using mesh = await startPair({ env })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [known, found] = [makeImage('known'), makeImage('found')]
  await pushImage(hub.url, REPO, 'v1', known)
  await shows(edge, 'v1', known)
  await hub.stop()
  await rm(indexOf(hub), { recursive: true })
  await distributionLayout(hub.dataDirectory).putImage(REPO, 'v1', found)
  await hub.start()
  await shows(hub, 'v1', known)
  for (const node of [hub, edge]) {
    await shows(node, 'v1--adopted-hub', found)
    await comparePull(node.url, REPO, 'v1--adopted-hub', found)
    await comparePull(node.url, REPO, 'v1', known)
  }
  expectQuiet(hub, edge)
})
