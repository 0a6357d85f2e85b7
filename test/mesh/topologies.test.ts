import { expect, test } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeDockerImage, makeImage, makeIndex } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { comparePull, digestAt, errorsOf, pushImage } from '../helpers/registry-calls.ts'

/** Waits until the tag shows the digest at every named node. */
async function untilAt(mesh: MeshProcess, names: readonly string[], image: string, digest: string) {
  const [repository = '', tag = ''] = image.split(':')
  for (const name of names) {
    const { url } = mesh.node(name)
    await eventually(async () => (await digestAt(url, repository, tag)) === digest)
  }
}

/** Names of the nodes that serve the tag. */
async function serving(mesh: MeshProcess, repository: string, tag: string): Promise<string[]> {
  const names: string[] = []
  for (const { name, url } of mesh.nodes) {
    if ((await digestAt(url, repository, tag)) !== undefined) names.push(name)
  }
  return names.sort()
}

test('hierarchical: a release reaches every edge through its region, a candidate stops at the regions, and an edge serves alone', async () => {
  await using mesh = await startMesh({ file: 'hierarchical.yaml' })
  const hub = mesh.node('hub')
  const release = makeIndex([makeImage('amd', { layerBytes: 300_000 }), makeImage('arm')])
  const candidate = makeImage('candidate')
  await pushImage(hub.url, 'demo/app', 'v1.0.0', release)
  await pushImage(hub.url, 'demo/app', 'v1.1.0-rc1', candidate)
  const edges = ['eu-1', 'eu-2', 'us-1', 'us-2']
  await untilAt(mesh, ['eu', 'us', ...edges], 'demo/app:v1.0.0', release.digest)
  await untilAt(mesh, ['eu', 'us'], 'demo/app:v1.1.0-rc1', candidate.digest)
  expect(await serving(mesh, 'demo/app', 'v1.1.0-rc1')).toEqual(['eu', 'hub', 'us'])
  for (const { url } of mesh.nodes) await comparePull(url, 'demo/app', 'v1.0.0', release)

  // Edges have no link to the hub: their only source is their region.
  const { neighbours } = await statusOf(mesh.node('us-2'))
  expect(neighbours.map(({ name }) => name)).toEqual(['us'])

  for (const node of mesh.nodes) if (node.name !== 'eu-2') await node.stop()
  await comparePull(mesh.node('eu-2').url, 'demo/app', 'v1.0.0', release)
})

test('master-slave: every slave gets the push, and a push at a slave is refused with the name of the master', async () => {
  await using mesh = await startMesh({ file: 'master-slave.yaml' })
  const hq = mesh.node('hq')
  const image = makeDockerImage('till')
  const elsewhere = makeImage('other team')
  await pushImage(hq.url, 'acme/till', '3.2.0', image)
  await pushImage(hq.url, 'labs/secret', '1.0.0', elsewhere)
  await untilAt(mesh, ['lon', 'nyc', 'sgp'], 'acme/till:3.2.0', image.digest)
  for (const { url } of mesh.nodes) await comparePull(url, 'acme/till', '3.2.0', image)
  expect(await serving(mesh, 'labs/secret', '1.0.0')).toEqual(['hq'])

  const refused = await fetch(`${mesh.node('lon').url}/v2/acme/till/blobs/uploads/`, {
    method: 'POST',
  })
  expect(refused.status).toBe(403)
  const [error] = await errorsOf(refused)
  expect(error?.code).toBe('DENIED')
  expect(error?.message).toContain(`push to hq (${hq.url})`)
})

test('mesh: each site writes, a tag written at two sites shows one digest everywhere, and a delete at one reaches all', async () => {
  await using mesh = await startMesh({ file: 'mesh.yaml' })
  const all = ['fra', 'iad', 'nrt']
  const own = new Map(all.map((name) => [name, makeImage(`of ${name}`)]))
  for (const [name, image] of own) await pushImage(mesh.node(name).url, 'shared/base', name, image)
  for (const [name, image] of own) await untilAt(mesh, all, `shared/base:${name}`, image.digest)

  await Promise.all(
    [...own].map(([name, image]) => pushImage(mesh.node(name).url, 'shared/base', 'v1', image)),
  )
  await eventually(async () => {
    const digests = await Promise.all(
      mesh.nodes.map(({ url }) => digestAt(url, 'shared/base', 'v1')),
    )
    return digests[0] !== undefined && new Set(digests).size === 1
  })

  const { status } = await fetch(`${mesh.node('nrt').url}/v2/shared/base/manifests/fra`, {
    method: 'DELETE',
  })
  expect(status).toBe(202)
  await eventually(async () => (await serving(mesh, 'shared/base', 'fra')).length === 0)

  // Immutable: pushed once, never moved.
  await pushImage(mesh.node('fra').url, 'rel/app', 'v1', makeImage('released'))
  await expect(
    pushImage(mesh.node('fra').url, 'rel/app', 'v1', makeImage('moved')),
  ).rejects.toThrow('immutable')
})
