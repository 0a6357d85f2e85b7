import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const isAt = (node: NodeProcess, tag: string, digest: string) => async () =>
  (await digestAt(node.url, 'demo/app', tag)) === digest

test('a node that joins late and a region that was down end with the same content, without a second push', async () => {
  await using mesh = await startMesh({ file: 'hierarchical.yaml' }, { start: [] })
  const late = new Set(['us', 'us-1', 'eu-2'])
  await Promise.all(mesh.nodes.filter(({ name }) => !late.has(name)).map((node) => node.start()))
  const images = Array.from({ length: 5 }, (_, at) => makeImage(`release ${at}`))
  for (const [at, image] of images.entries()) {
    await pushImage(mesh.node('hub').url, 'demo/app', `v1.${at}`, image)
  }
  const last = images.at(-1)?.digest ?? ''
  await eventually(isAt(mesh.node('eu-1'), 'v1.4', last))
  // The region of us was away during the push, and one edge of it is started before it.
  for (const name of ['us-1', 'eu-2', 'us']) await mesh.node(name).start()
  for (const name of ['us', 'us-1', 'us-2', 'eu-2']) {
    for (const [at, image] of images.entries()) {
      await eventually(isAt(mesh.node(name), `v1.${at}`, image.digest))
    }
    await comparePull(mesh.node(name).url, 'demo/app', 'v1.0', images[0] ?? makeImage('none'))
  }
})

test('a node that is restarted reads on from its position and gets what it missed', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' })
  const [hq, lon] = [mesh.node('hq'), mesh.node('lon')]
  const [first, second] = [makeImage('first'), makeImage('second')]
  await pushImage(hq.url, 'demo/app', 'v1', first)
  await eventually(isAt(lon, 'v1', first.digest))
  expect(await lon.stop()).toBe(0)
  await pushImage(hq.url, 'demo/app', 'v2', second)
  await lon.start()
  await eventually(isAt(lon, 'v2', second.digest))
  await comparePull(lon.url, 'demo/app', 'v1', first)
  // What it knew before was not stored again.
  expect((await statusOf(lon)).counters.recordsStored).toBe(1)
})

test('a transfer that kill -9 cut in the middle goes on from the bytes that are there', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const [hq, lon] = [mesh.node('hq'), mesh.node('lon')]
  await hq.start()
  const image = makeImage('large', { layers: 1, layerBytes: 192 * 1024 * 1024 })
  await pushImage(hq.url, 'demo/app', 'v1', image)
  const layer = image.blobs[1]
  const staging = join(lon.dataDirectory, 'entrepot', 'staging')
  const staged = async () => {
    const names = await readdir(staging).catch(() => [])
    const name = names.find((one) => one.includes(layer?.digest.slice(7) ?? '-'))
    return name === undefined ? 0 : (await stat(join(staging, name))).size
  }
  const starting = lon.start()
  await eventually(async () => (await staged()) > 1_000_000)
  await lon.kill()
  await starting.catch(() => {})
  const before = await staged()
  expect(before).toBeGreaterThan(1_000_000)
  expect(before).toBeLessThan(layer?.bytes.length ?? 0)
  // Nothing of it stands where content stands.
  expect(await blobFiles(lon)).not.toContain(layer?.digest.slice(7))
  await lon.start()
  await eventually(isAt(lon, 'v1', image.digest))
  await comparePull(lon.url, 'demo/app', 'v1', image)
  expect(await staged()).toBe(0)
})

/** Hex names below `blobs/`. */
async function blobFiles({ dataDirectory }: NodeProcess): Promise<readonly string[]> {
  const root = join(dataDirectory, 'docker/registry/v2/blobs')
  const paths = await readdir(root, { recursive: true })
  return paths.filter((path) => path.endsWith('/data')).map((path) => path.split('/').at(-2) ?? '')
}

test('everything that was answered with 201 is there after kill -9, whole', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' }, { start: [] })
  const hq = mesh.node('hq')
  await hq.start()
  const kept = new Map<string, ReturnType<typeof makeImage>>()
  for (let round = 0; round < 4; round += 1) {
    let isKilled = false
    const pushing = async (lane: number) => {
      for (let at = 0; !isKilled; at += 1) {
        const tag = `v${round}.${lane}.${at}`
        const image = makeImage(tag, { layerBytes: 20_000 })
        try {
          await pushImage(hq.url, 'demo/app', tag, image)
          kept.set(tag, image)
        } catch {
          return
        }
      }
    }
    const lanes = [pushing(0), pushing(1), pushing(2)]
    const soFar = kept.size
    await eventually(() => kept.size >= soFar + 5 + round * 3)
    await hq.kill()
    isKilled = true
    await Promise.all(lanes)
    await hq.start()
    for (const [tag, image] of kept) await comparePull(hq.url, 'demo/app', tag, image)
  }
  expect(kept.size).toBeGreaterThan(20)
})
