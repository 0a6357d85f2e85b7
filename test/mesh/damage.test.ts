import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { bytesOf, makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushBlob, pushImage } from '../helpers/registry-calls.ts'

/** Larger than what a node keeps in memory: each read of it is a read of the file. */
const LAYER_BYTES = 3_000_000
const image = makeImage('image', { layers: 1, layerBytes: LAYER_BYTES })
const [, layer = image] = image.blobs

const fileOf = ({ dataDirectory }: NodeProcess) => {
  const hex = layer.digest.slice(7)
  const path = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
  return join(dataDirectory, path)
}
const get = ({ url }: NodeProcess, method = 'GET') =>
  fetch(`${url}/v2/demo/app/blobs/${layer.digest}`, { method })

/** Never wrong bytes meanwhile: 404 until it is whole. */
const wholeAgain = (node: NodeProcess) =>
  eventually(async () => {
    const answer = await get(node)
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (answer.status === 404) return false
    expect(answer.status).toBe(200)
    expect(bytes.equals(layer.bytes)).toBe(true)
    return true
  })

async function startPair() {
  const mesh = await startMesh({ file: 'master-slave.yaml' }, { start: ['hq', 'lon'] })
  const [hq, lon] = [mesh.node('hq'), mesh.node('lon')]
  await pushImage(hq.url, 'demo/app', 'v1', image)
  await eventually(async () => (await digestAt(lon.url, 'demo/app', 'v1')) === image.digest)
  return { mesh, hq, lon }
}

test('a blob that was cut at an edge is never served, and whole again soon', async () => {
  const { mesh, lon } = await startPair()
  await using _mesh = mesh
  await comparePull(lon.url, 'demo/app', 'v1', image)
  await truncate(fileOf(lon), 1_000)
  expect((await get(lon)).status).toBe(404)
  await wholeAgain(lon)
  await comparePull(lon.url, 'demo/app', 'v1', image)
  expect(lon.log()).toContain('blob is damaged')
})

test('a writer that lost a blob reads it back from an edge that holds it', async () => {
  const { mesh, hq } = await startPair()
  await using _mesh = mesh
  await rm(fileOf(hq))
  expect((await get(hq, 'HEAD')).status).toBe(404)
  await wholeAgain(hq)
})

test('what nobody else has is absent until it is pushed again, and the push repairs it', async () => {
  const { mesh, hq, lon } = await startPair()
  await using _mesh = mesh
  await lon.stop()
  await truncate(fileOf(hq), LAYER_BYTES - 1)
  // As docker does it: the HEAD says that the blob has to be sent, a mount does not avoid it.
  expect((await get(hq, 'HEAD')).status).toBe(404)
  const mount = `${hq.url}/v2/demo/other/blobs/uploads/?mount=${layer.digest}&from=demo/app`
  expect((await fetch(mount, { method: 'POST' })).status).toBe(202)
  await pushBlob(hq.url, 'demo/app', layer)
  expect((await get(hq, 'HEAD')).status).toBe(200)
  await comparePull(hq.url, 'demo/app', 'v1', image)
})

test('other bytes of the right number are found by verify, and fetched again by the node that is started then', async () => {
  const { mesh, lon } = await startPair()
  await using _mesh = mesh
  expect(await lon.stop()).toBe(0)
  await writeFile(fileOf(lon), bytesOf('other bytes', LAYER_BYTES))
  const verify = (...flags: string[]) => entrepot('verify', '--data', lon.dataDirectory, ...flags)
  expect(verify()).toMatchObject({ status: 1 })
  const repaired = verify('--repair')
  expect(repaired.stdout).toContain('moved to entrepot/damaged/sha256:')
  expect(repaired.status).toBe(1)
  await lon.start()
  await wholeAgain(lon)
  expect(await lon.stop()).toBe(0)
  expect(verify()).toMatchObject({ status: 0 })
})
