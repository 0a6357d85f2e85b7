/** Pushes at a node that is no writer, where the topology sends them on: real nodes, real sockets. */
import { expect, test } from 'vitest'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { bytesOf, makeBlob, makeImage } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import {
  comparePull,
  digestAt,
  errorsOf,
  pushImage,
  putManifest,
} from '../helpers/registry-calls.ts'

const MIB = 1024 ** 2

/** Two writers joined by a mesh, and an edge below both; `near` is of the edge's region. */
const topologyWith = (way: string, { writers = '[far, near]' } = {}) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: elsewhere, generation: 1 }
nodes:
  far: { locality: { region: us } }
  near: { locality: { region: eu } }
  edge: { locality: { region: eu } }
origins:
  - { repos: ["**"], writers: ${writers}, elsewhere: ${way}, conflict: { tags: register, resolve: hlc-lww } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: mesh, members: [far, near], policies: [all] }
  - { shape: star, center: [far, near], leaves: edge, policies: [all] }
`

const isAt = (node: NodeProcess, tag: string, digest: string) => async () =>
  (await digestAt(node.url, 'demo/app', tag)) === digest

/** The edge knows both writers: before, it goes by what it knows. */
async function startBoth(way: string): Promise<MeshProcess> {
  const mesh = await startMesh({ text: topologyWith(way) })
  await eventually(async () => {
    const { neighbours } = await statusOf(mesh.node('edge'))
    return neighbours.every(({ state }) => state === 'up')
  })
  return mesh
}

/** Who signed the newest record of the tag. */
async function writerOf(node: NodeProcess, tag: string): Promise<string | undefined> {
  const [record] = await recordsOf(node, 'demo/app', tag)
  return record?.known[0]?.writer
}

test('a push that is proxied is signed by the nearest writer, and comes back to where it was pushed', async () => {
  await using mesh = await startBoth('proxy')
  const edge = mesh.node('edge')
  const image = makeImage('proxied', { layerBytes: 3 * MIB })
  await pushImage(edge.url, 'demo/app', 'v1', image)
  await comparePull(mesh.node('near').url, 'demo/app', 'v1', image)
  await eventually(isAt(edge, 'v1', image.digest))
  await comparePull(edge.url, 'demo/app', 'v1', image)
  expect(await writerOf(edge, 'v1')).toBe('near')
})

test('a push that is redirected arrives at the nearest writer', async () => {
  await using mesh = await startBoth('redirect')
  const edge = mesh.node('edge')
  const image = makeImage('redirected', { layerBytes: 3 * MIB })
  await pushImage(edge.url, 'demo/app', 'v1', image)
  await comparePull(mesh.node('near').url, 'demo/app', 'v1', image)
  await eventually(isAt(edge, 'v1', image.digest))
})
