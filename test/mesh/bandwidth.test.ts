import { expect, test } from 'vitest'
import { jobsOf, recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, type TestManifest } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const MIB = 1024 * 1024

function topologyOf(nodes: string, links: string): string {
  return `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes: ${nodes}
origins:
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["demo/**"] }, mode: eager }
links:
${links}
`
}

const star = (bandwidth: string) =>
  topologyOf(
    '{ hub: {}, eu: {} }',
    `  - { shape: star, center: hub, leaves: eu, policies: [all], bandwidth: [${bandwidth}] }`,
  )

const isAt = (node: NodeProcess, tag: string, image: TestManifest) => async () =>
  (await digestAt(node.url, 'demo/app', tag)) === image.digest

/** Waits until the image is there. @returns milliseconds since the Unix epoch at which it was seen */
async function arrival(node: NodeProcess, tag: string, image: TestManifest): Promise<number> {
  await eventually(isAt(node, tag, image), { timeoutMs: 60_000 })
  return performance.now()
}

test('two transfers at once keep to 8 Mbit together, and a small image overtakes them', async () => {
  await using mesh = await startMesh({ text: star('{ down: 8Mbit }') })
  const [hub, eu] = [mesh.node('hub'), mesh.node('eu')]
  expect((await statusOf(eu)).neighbours).toMatchObject([{ name: 'hub', limit: 8_000_000 }])
  expect(await metricsOf(eu)).toContain('entrepot_link_limit_bits{source="hub"} 8000000')
  const large = makeImage('large', { layers: 2, layerBytes: 4 * MIB })
  const small = makeImage('small', { layers: 1, layerBytes: 1_024 })
  await pushImage(hub.url, 'demo/app', 'large', large)
  const beganMs = performance.now()
  const largeMs = arrival(eu, 'large', large)
  await eventually(async () => (await jobsOf(eu)).some(({ bytesDone }) => bytesDone > MIB))
  await pushImage(hub.url, 'demo/app', 'small', small)
  const smallMs = arrival(eu, 'small', small)
  await smallMs
  expect(await isAt(eu, 'large', large)()).toBe(false)
  const seconds = ((await largeMs) - beganMs) / 1_000
  const bits = large.blobs.reduce((sum, { bytes }) => sum + bytes.length * 8, 0)
  // What came before the clock was read made it faster by as much as the test saw late: less than a tenth in any case.
  expect(bits / seconds).toBeLessThan(8_000_000 * 1.1)
  expect(bits / seconds).toBeGreaterThan(8_000_000 * 0.5)
  await comparePull(eu.url, 'demo/app', 'large', large)
})

test('over a closed link nothing comes, and the job says so', async () => {
  await using mesh = await startMesh({ text: star('{ down: 0kbit }') })
  const [hub, eu] = [mesh.node('hub'), mesh.node('eu')]
  await pushImage(hub.url, 'demo/app', 'v1', makeImage('one'))
  await eventually(async () =>
    (await jobsOf(eu)).some(
      ({ state, reason }) =>
        state === 'waiting' && reason?.includes('link from hub is closed') === true,
    ),
  )
  expect(await digestAt(eu.url, 'demo/app', 'v1')).toBeUndefined()
})

test('a node asks the neighbour that holds an image before the hub where its link says peers first', async () => {
  const text = topologyOf(
    '{ hub: {}, site-1: {}, site-2: {} }',
    '  - { shape: star, center: hub, leaves: [site-1, site-2], policies: [all] }\n' +
      '  - { shape: mesh, members: [site-1, site-2], policies: [all], fetch: peers-first }',
  )
  await using mesh = await startMesh({ text })
  const [hub, first, second] = [mesh.node('hub'), mesh.node('site-1'), mesh.node('site-2')]
  // It begins when it knows that both hold the image.
  const pauses = `${second.url}/api/v1/pauses?all=true`
  expect((await fetch(pauses, { method: 'POST' })).status).toBe(200)
  const image = makeImage('app', { layers: 3, layerBytes: 300_000 })
  await pushImage(hub.url, 'demo/app', 'v1', image)
  await arrival(first, 'v1', image)
  await eventually(async () => {
    const [records] = await recordsOf(second, 'demo/app', 'v1')
    const holding = records?.neighbours?.filter(({ holds }) => holds.includes(image.digest))
    return holding?.length === 2
  })
  expect((await fetch(pauses, { method: 'DELETE' })).status).toBe(200)
  await arrival(second, 'v1', image)
  const fetched = await fetchedFrom(second)
  expect(fetched.get('site-1')).toBeGreaterThan(900_000)
  expect(fetched.get('hub') ?? 0).toBe(0)
})

/** Bytes of blobs that came from each neighbour. */
async function fetchedFrom(node: NodeProcess): Promise<ReadonlyMap<string, number>> {
  const rows = (await metricsOf(node)).matchAll(
    /^entrepot_fetched_bytes_total\{source="([^"]+)"\} (\d+)$/gm,
  )
  return new Map([...rows].map(([, source = '', bytes]) => [source, Number(bytes)]))
}

async function metricsOf({ url }: NodeProcess): Promise<string> {
  return (await fetch(`${url}/metrics`)).text()
}
