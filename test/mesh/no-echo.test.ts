import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { digestAt, pushImage } from '../helpers/registry-calls.ts'

/** Two relays joined to each other feed two edges joined to each other: every node but the hub has several sources. */
const DIAMONDS = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: diamonds, generation: 1 }
nodes:
  hub: {}
  left: { labels: { tier: relay } }
  right: { labels: { tier: relay } }
  edge-1: { labels: { tier: edge } }
  edge-2: { labels: { tier: edge } }
origins:
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: { tier: relay }, policies: [all] }
  - { shape: mesh, members: { tier: relay }, policies: [all] }
  - { shape: tree, parent: { tier: relay }, children: { tier: edge }, policies: [all] }
  - { shape: mesh, members: { tier: edge }, policies: [all] }
`

test('in cycles and diamonds each blob crosses each door once, each record is stored once, and nothing echoes', async () => {
  await using mesh = await startMesh({ text: DIAMONDS })
  const images = Array.from({ length: 6 }, (_, at) => makeImage(`image ${at}`, { layers: 3 }))
  for (const [at, image] of images.entries()) {
    await pushImage(mesh.node('hub').url, `team/app-${at % 2}`, `v${at}`, image)
  }
  for (const { url } of mesh.nodes) {
    for (const [at, image] of images.entries()) {
      const isThere = async () =>
        (await digestAt(url, `team/app-${at % 2}`, `v${at}`)) === image.digest
      await eventually(isThere)
    }
  }
  const blobs = new Set(images.flatMap((image) => image.blobs.map(({ digest }) => digest))).size
  const counters = async () =>
    Promise.all(mesh.nodes.map(async (node) => (await statusOf(node)).counters))
  const before = await counters()
  for (const [at, count] of before.entries()) {
    expect(count.recordsStored).toBe(images.length)
    expect(count.blobsFetched).toBe(mesh.nodes[at]?.name === 'hub' ? 0 : blobs)
    // One per record and topic on which the node sends: the hub 1, a relay 2 (its mesh, its children), an edge 1.
    expect(count.announcementsPublished).toBeLessThanOrEqual(images.length * 2)
  }
  // Time alone announces nothing: heartbeats of gossip and feeds pass, and every count stays.
  await sleep(3_000)
  expect(await counters()).toEqual(before)
})
