/** Content that comes when a client asks for it: served while it arrives, fetched once, kept. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jobsOf, recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, makeIndex, type TestManifest } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'

const REPO = 'team/app'
const MIB = 1024 * 1024
const CHAIN =
  '- { shape: star, center: hub, leaves: relay, policies: [lazy] }\n  - { shape: star, center: relay, leaves: edge, policies: [lazy] }'

function topologyOf(links: string, nodes = '{ hub: {}, relay: {}, edge: {} }') {
  return `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: lazy, generation: 1 }
nodes: ${nodes}
origins: [{ repos: ["**"], writers: hub }]
policies:
  lazy: { match: { repos: ["**"] }, mode: lazy }
links:
  ${links}
`
}

function nodesOf(mesh: MeshProcess): readonly [NodeProcess, NodeProcess, NodeProcess] {
  return [mesh.node('hub'), mesh.node('relay'), mesh.node('edge')]
}

function isOnDisk({ dataDirectory }: NodeProcess, digest: string): boolean {
  const [algorithm = '', hex = ''] = digest.split(':')
  return existsSync(
    join(dataDirectory, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data'),
  )
}

/** Waits until the node has heard of the tag. */
const heard = (node: NodeProcess, tag: string) =>
  eventually(async () => (await recordsOf(node, REPO, tag).catch(() => [])).length > 0)

/** Waits until all of it that was asked for is the node's own. */
const kept = (node: NodeProcess, tag: string, { digest }: TestManifest) =>
  eventually(
    async () => {
      const [view] = await recordsOf(node, REPO, tag)
      const open = (await jobsOf(node)).filter(({ state }) => state !== 'done')
      return view?.held === digest && open.length === 0
    },
    { timeoutMs: 60_000 },
  )

describe('a lazy node', () => {
  test('holds nothing that nobody asked for; what a client pulls comes through every lazy node on the way, and stays', async () => {
    await using mesh = await startMesh({ text: topologyOf(CHAIN) })
    const [hub, relay, edge] = nodesOf(mesh)
    const [asked, unasked] = [makeImage('asked'), makeImage('unasked')]
    await pushImage(hub.url, REPO, 'v1', asked)
    await pushImage(hub.url, REPO, 'v2', unasked)
    await heard(edge, 'v2')
    expect((await statusOf(edge)).counters.blobsFetched).toBe(0)

    await comparePull(edge.url, REPO, 'v1', asked)
    for (const node of [relay, edge]) {
      await kept(node, 'v1', asked)
      expect(isOnDisk(node, unasked.digest)).toBe(false)
    }
    // It is this node's own now, also after a restart and without the others.
    await hub.stop()
    await relay.stop()
    await edge.kill()
    await edge.start()
    await comparePull(edge.url, REPO, 'v1', asked)
    const absent = await fetch(`${edge.url}/v2/${REPO}/manifests/v2`)
    expect(absent.status).toBe(404)
  })

  test('twenty clients that ask for one image at once cause one fetch of each blob', async () => {
    await using mesh = await startMesh({ text: topologyOf(CHAIN) })
    const [hub, , edge] = nodesOf(mesh)
    const image = makeImage('many', { layers: 2, layerBytes: 8 * MIB })
    await pushImage(hub.url, REPO, 'v1', image)
    await heard(edge, 'v1')
    const pulls = Array.from({ length: 20 }, () => comparePull(edge.url, REPO, 'v1', image))
    await Promise.all(pulls)
    expect((await statusOf(edge)).counters.blobsFetched).toBe(image.blobs.length)
  })

  test('a tag that moved is fetched anew; when nobody can give it, what is here is served', async () => {
    await using mesh = await startMesh({ text: topologyOf(CHAIN) })
    const [hub, relay, edge] = nodesOf(mesh)
    const [before, after, last] = [makeImage('before'), makeImage('after'), makeImage('last')]
    await pushImage(hub.url, REPO, 'v1', before)
    await heard(edge, 'v1')
    await comparePull(edge.url, REPO, 'v1', before)
    await pushImage(hub.url, REPO, 'v1', after)
    await eventually(async () => (await digestAt(edge.url, REPO, 'v1')) === after.digest)
    await comparePull(edge.url, REPO, 'v1', after)
    await kept(edge, 'v1', after)

    const number = (await statusOf(edge)).feed.head
    await pushImage(hub.url, REPO, 'v1', last)
    await eventually(async () => (await statusOf(edge)).feed.head > number)
    await relay.stop()
    await comparePull(edge.url, REPO, 'v1', after)
  })

  test('three caches that ask each other do not wait for each other: what one of them has the others get, what none has is 404', async () => {
    await using mesh = await startMesh({
      text: topologyOf(
        '- { shape: mesh, members: "*", policies: [lazy], fetch: peers-first }',
        '{ hub: {}, relay: {}, edge: {}, third: {} }',
      ),
    })
    const [hub, relay, edge] = nodesOf(mesh)
    const third = mesh.node('third')
    const [had, unasked] = [makeImage('had'), makeImage('unasked')]
    await pushImage(hub.url, REPO, 'v1', had)
    await pushImage(hub.url, REPO, 'v2', unasked)
    for (const node of [relay, edge, third]) await heard(node, 'v2')
    await comparePull(relay.url, REPO, 'v1', had)
    await kept(relay, 'v1', had)
    await hub.stop()
    const pulls = [edge, third].map(async ({ url }) => comparePull(url, REPO, 'v1', had))
    await Promise.all(pulls)
    for (const { url } of [edge, third, relay]) {
      expect((await fetch(`${url}/v2/${REPO}/manifests/v2`)).status).toBe(404)
    }
  })

  test('of an index only the images that are asked for come', async () => {
    await using mesh = await startMesh({ text: topologyOf(CHAIN) })
    const [hub, , edge] = nodesOf(mesh)
    const index = makeIndex(['amd64', 'arm64'].map((name) => makeImage(name)))
    const [amd64, arm64] = index.children as [TestManifest, TestManifest]
    await pushImage(hub.url, REPO, 'v1', index)
    await heard(edge, 'v1')
    expect(await digestAt(edge.url, REPO, 'v1')).toBe(index.digest)
    await comparePull(edge.url, REPO, arm64.digest, arm64)
    await eventually(() => isOnDisk(edge, index.digest))
    expect(isOnDisk(edge, amd64.digest)).toBe(false)
    await comparePull(edge.url, REPO, amd64.digest, amd64)
    await eventually(async () => {
      const [view] = await recordsOf(edge, REPO, 'v1')
      return view?.held === index.digest && isOnDisk(edge, amd64.digest)
    })
    await hub.stop()
    await comparePull(edge.url, REPO, 'v1', index)
  })

  test('a HEAD costs the manifest alone, at every node on the way; the image comes when it is pulled', async () => {
    await using mesh = await startMesh({ text: topologyOf(CHAIN) })
    const [hub, relay, edge] = nodesOf(mesh)
    const image = makeImage('looked at')
    await pushImage(hub.url, REPO, 'v1', image)
    await heard(edge, 'v1')
    const head = await fetch(`${edge.url}/v2/${REPO}/manifests/v1`, { method: 'HEAD' })
    expect(head.headers.get('docker-content-digest')).toBe(image.digest)
    for (const node of [relay, edge]) {
      const jobs = await jobsOf(node)
      expect(jobs.map(({ digest }) => digest)).toEqual([])
      expect((await statusOf(node)).counters.blobsFetched).toBe(0)
    }
    await comparePull(edge.url, REPO, image.digest, image)
    for (const node of [relay, edge]) await kept(node, 'v1', image)
  })

  test('what can be pulled is listed: tags, and signatures with what they say of themselves; and comes by its digest', async () => {
    await using mesh = await startMesh({ text: topologyOf(CHAIN) })
    const [hub, , edge] = nodesOf(mesh)
    const index = makeIndex(['amd64', 'arm64'].map((name) => makeImage(name)))
    const [, arm64] = index.children as [TestManifest, TestManifest]
    const annotations = { 'dev.example/key': 'value' }
    const signature = makeImage('signature', { subject: index, annotations })
    await pushImage(hub.url, REPO, 'v1', index)
    await pushImage(hub.url, REPO, signature.digest, signature)
    await heard(edge, 'v1')
    await heard(edge, signature.digest)
    const ask = async (path: string) => (await fetch(`${edge.url}/v2/${REPO}/${path}`)).json()
    expect(await ask('tags/list')).toEqual({ name: REPO, tags: ['v1'] })
    expect(await ask(`referrers/${index.digest}`)).toMatchObject({
      manifests: [{ digest: signature.digest, annotations }],
    })
    // Neither this node nor the one that it asks has ever seen the index.
    await comparePull(edge.url, REPO, arm64.digest, arm64)
    await comparePull(edge.url, REPO, signature.digest, signature)
    await eventually(() => isOnDisk(edge, signature.digest) && isOnDisk(edge, index.digest))
    await hub.stop()
    await comparePull(edge.url, REPO, signature.digest, signature)
    expect(await ask(`referrers/${index.digest}`)).toMatchObject({
      manifests: [{ digest: signature.digest, annotations }],
    })
  })

  test('bytes reach the client before the blob is here; a client that leaves stops nothing', async () => {
    await using mesh = await startMesh({
      text: topologyOf(
        '- { shape: star, center: hub, leaves: edge, policies: [lazy], bandwidth: [{ down: 8Mbit }] }',
        '{ hub: {}, edge: {} }',
      ),
    })
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = makeImage('slow', { layers: 1, layerBytes: 6 * MIB })
    const layer = image.blobs.find(({ bytes }) => bytes.length >= MIB)
    await pushImage(hub.url, REPO, 'v1', image)
    await heard(edge, 'v1')
    expect(await digestAt(edge.url, REPO, 'v1')).toBe(image.digest)
    await using stack = new AsyncDisposableStack()
    const answer = await fetch(`${edge.url}/v2/${REPO}/blobs/${layer?.digest}`)
    const reader = answer.body?.getReader()
    stack.defer(() => reader?.cancel())
    const first = await reader?.read()
    expect(first?.value?.length).toBeGreaterThan(0)
    expect(isOnDisk(edge, layer?.digest ?? '')).toBe(false)
    await reader?.cancel()
    // A range in the middle waits until it is there.
    const part = await fetch(`${edge.url}/v2/${REPO}/blobs/${layer?.digest}`, {
      headers: { range: `bytes=${2 * MIB}-${2 * MIB + 999}` },
    })
    expect(part.status).toBe(206)
    expect(Buffer.from(await part.arrayBuffer())).toEqual(
      Buffer.from(layer?.bytes ?? []).subarray(2 * MIB, 2 * MIB + 1_000),
    )
    await kept(edge, 'v1', image)
    await comparePull(edge.url, REPO, 'v1', image)
  })

  test('a source that dies in the middle cuts the client, and the next try goes on', async () => {
    await using mesh = await startMesh({
      text: topologyOf(
        '- { shape: star, center: hub, leaves: edge, policies: [lazy], bandwidth: [{ down: 8Mbit }] }',
        '{ hub: {}, edge: {} }',
      ),
    })
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = makeImage('cut', { layers: 1, layerBytes: 4 * MIB })
    const layer = image.blobs.find(({ bytes }) => bytes.length >= MIB)
    await pushImage(hub.url, REPO, 'v1', image)
    await heard(edge, 'v1')
    expect(await digestAt(edge.url, REPO, 'v1')).toBe(image.digest)
    const answer = await fetch(`${edge.url}/v2/${REPO}/blobs/${layer?.digest}`)
    const reader = answer.body?.getReader()
    await reader?.read()
    await hub.kill()
    await expect(
      (async () => {
        for (;;) if ((await reader?.read())?.done !== false) return
      })(),
    ).rejects.toThrow()
    await hub.start()
    await eventually(async () => (await digestAt(edge.url, REPO, 'v1')) === image.digest)
    await kept(edge, 'v1', image)
    await comparePull(edge.url, REPO, 'v1', image)
  })
})
