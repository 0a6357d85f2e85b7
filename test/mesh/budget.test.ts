/** The storage budget: what was pulled longest ago goes, pins and what the topology asks for stay. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, type TestManifest } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, pushImage } from '../helpers/registry-calls.ts'

const REPO = 'team/app'
const MIB = 1024 * 1024
const TOPOLOGY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: budget, generation: 1 }
nodes:
  hub: {}
  edge: { storage: { max: 26MiB, pin: ["team/**:pinned"] } }
origins: [{ repos: ["**"], writers: hub }]
policies:
  lazy: { match: { repos: ["team/**"] }, mode: lazy }
  eager: { match: { repos: ["base/**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: edge, policies: [lazy, eager] }
`

const image = (seed: string) => makeImage(seed, { layers: 1, layerBytes: 6 * MIB })

function isOnDisk({ dataDirectory }: NodeProcess, digest: string): boolean {
  const [algorithm = '', hex = ''] = digest.split(':')
  return existsSync(
    join(dataDirectory, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data'),
  )
}

/** Whether every byte of it, or none of it, is on the disk. */
function presence(node: NodeProcess, { digest, blobs }: TestManifest): string {
  const parts = [digest, ...blobs.map((blob) => blob.digest)].map((one) => isOnDisk(node, one))
  if (parts.every((one) => one)) return 'here'
  return parts.some((one) => one) ? 'in part' : 'gone'
}

describe('the storage budget', () => {
  test('what was pulled longest ago goes whole and at once; pins, what a policy holds, and what goes is there again when it is asked for', async () => {
    await using mesh = await startMesh({ text: TOPOLOGY })
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const base = image('base')
    await pushImage(hub.url, 'base/os', 'v1', base)
    const pulled = ['pinned', 'v1', 'v2', 'v3', 'v4'].map((tag) => ({ tag, image: image(tag) }))
    for (const one of pulled) await pushImage(hub.url, REPO, one.tag, one.image)
    await eventually(async () => (await recordsOf(edge, REPO)).length === pulled.length)
    await eventually(() => presence(edge, base) === 'here')

    for (const one of pulled) {
      await comparePull(edge.url, REPO, one.tag, one.image)
      await eventually(async () => {
        const [view] = await recordsOf(edge, REPO, one.tag)
        return view?.held === one.image.digest
      })
    }
    const [pinned, v1, v2, , v4] = pulled.map((one) => one.image) as [
      TestManifest,
      TestManifest,
      TestManifest,
      TestManifest,
      TestManifest,
    ]
    await eventually(async () => {
      const { storage } = await statusOf(edge)
      return storage !== undefined && storage.usedBytes <= storage.maxBytes
    })
    for (const gone of [v1, v2]) expect(presence(edge, gone)).toBe('gone')
    for (const kept of [base, pinned, v4]) expect(presence(edge, kept)).toBe('here')
    expect((await statusOf(edge)).storage?.isOverfull).toBe(false)

    await comparePull(edge.url, REPO, 'v1', v1)
    // It is this node's own again, not only passed on.
    await eventually(async () => (await recordsOf(edge, REPO, 'v1'))[0]?.held === v1.digest)
    await comparePull(edge.url, 'base/os', 'v1', base)
    await comparePull(edge.url, REPO, 'pinned', pinned)
  })
})
