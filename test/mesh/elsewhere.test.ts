/** Pushes at a node that is no writer, where the topology sends them on: real nodes, real sockets. */
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { request } from 'undici'
import { beforeAll, expect, test } from 'vitest'
import { createHasher } from '../../src/oci/digest.ts'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { certificateFiles, makeAuthority, makeCertificate } from '../helpers/certificates.ts'
import { eventually } from '../helpers/eventually.ts'
import { bytesOf, makeBlob, makeImage } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import {
  comparePull,
  digestAt,
  errorsOf,
  pushBlob,
  pushImage,
  putManifest,
} from '../helpers/registry-calls.ts'

const MIB = 1024 ** 2
/** Known to this process, which is the client, and to no node. */
const AUTHORITY = makeAuthority()

beforeAll(() => {
  setDefaultCACertificates([...getCACertificates('default'), AUTHORITY.cert])
})

/** Two writers joined by a mesh, and an edge below both; `near` is of the edge's region. */
const topologyWith = (way: string) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: elsewhere, generation: 1 }
nodes:
  far: { locality: { region: us } }
  near: { locality: { region: eu } }
  edge: { locality: { region: eu } }
origins:
  - { repos: ["**"], writers: [far, near], elsewhere: ${way}, conflict: { tags: register, resolve: hlc-lww } }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: mesh, members: [far, near], policies: [all] }
  - { shape: star, center: [far, near], leaves: edge, policies: [all] }
`

const isAt = (node: NodeProcess, tag: string, digest: string) => async () =>
  (await digestAt(node.url, 'demo/app', tag)) === digest

/** The edge knows both writers: before, it goes by what it knows. */
async function startBoth(way: string, flags: readonly string[] = []): Promise<MeshProcess> {
  const mesh = await startMesh({ text: topologyWith(way) }, { flags })
  await eventually(() => seesUp(mesh.node('edge'), ['far', 'near']))
  return mesh
}

async function seesUp(node: NodeProcess, names: readonly string[]): Promise<boolean> {
  const { neighbours } = await statusOf(node)
  const up = neighbours.filter(({ state }) => state === 'up').map(({ name }) => name)
  return JSON.stringify(up.sort()) === JSON.stringify(names)
}

/** Who signed the newest record of the tag. */
async function writerOf(node: NodeProcess, tag: string): Promise<string | undefined> {
  const [record] = await recordsOf(node, 'demo/app', tag)
  return record?.known[0]?.writer
}

/** What the node has itself: what it shows may be the writer's answer. */
async function heldAt(node: NodeProcess, tag: string): Promise<string | undefined> {
  const [record] = await recordsOf(node, 'demo/app', tag)
  return record?.held
}

async function begin({ url }: NodeProcess): Promise<string> {
  const begun = await fetch(`${url}/v2/demo/app/blobs/uploads/`, { method: 'POST' })
  expect(begun.status).toBe(202)
  return new URL(begun.headers.get('location') ?? '', url).href
}

for (const way of ['proxy', 'redirect']) {
  test(`${way}: a push goes to the nearest writer, whose record it is, and comes back by the mesh`, async () => {
    await using mesh = await startBoth(way)
    const edge = mesh.node('edge')
    const image = makeImage(way, { layerBytes: 3 * MIB })
    await pushImage(edge.url, 'demo/app', 'v1', image)
    // At once, also while this node has not fetched it.
    await comparePull(edge.url, 'demo/app', 'v1', image)
    await comparePull(mesh.node('near').url, 'demo/app', 'v1', image)
    await eventually(async () => (await writerOf(edge, 'v1')) === 'near')
    const why = await fetch(`${edge.url}/api/v1/why?repository=demo/app&reference=v1`)
    const what = way === 'proxy' ? 'passed on' : 'redirected'
    expect(await why.text()).toContain(
      `a push at edge is ${what} to the nearest of them that lives`,
    )
    const gone = await fetch(`${edge.url}/v2/demo/app/manifests/v1`, { method: 'DELETE' })
    expect(gone.status).toBe(202)
    expect(await digestAt(mesh.node('near').url, 'demo/app', 'v1')).toBeUndefined()
  })

  test(`${way}: with the nearest writer dead a push goes to the other, with none it is put off`, async () => {
    await using mesh = await startBoth(way)
    const [edge, near, far] = [mesh.node('edge'), mesh.node('near'), mesh.node('far')]
    await near.kill()
    await eventually(() => seesUp(edge, ['far']))
    const image = makeImage('at the other')
    await pushImage(edge.url, 'demo/app', 'v1', image)
    await eventually(async () => (await heldAt(edge, 'v1')) === image.digest)
    expect(await writerOf(edge, 'v1')).toBe('far')
    await far.kill()
    await eventually(() => seesUp(edge, []))
    const begun = await fetch(`${edge.url}/v2/demo/app/blobs/uploads/`, { method: 'POST' })
    expect([begun.status, begun.headers.get('retry-after')]).toEqual([503, '5'])
    const [error] = await errorsOf(begun)
    expect(error?.message).toContain(`push to far (${far.url}) or near (${near.url})`)
    // It serves on what it has.
    await comparePull(edge.url, 'demo/app', 'v1', image)
  })
}

test('a tag that was pushed again is read as pushed, before the mesh has brought it, also by way of reader threads', async () => {
  await using mesh = await startBoth('proxy', ['--readers', '1'])
  const edge = mesh.node('edge')
  for (let at = 0; at < 8; at += 1) {
    const image = makeImage(`build ${at}`, { layerBytes: 100_000 })
    await pushImage(edge.url, 'demo/app', 'latest', image)
    expect(await digestAt(edge.url, 'demo/app', 'latest')).toBe(image.digest)
    await comparePull(edge.url, 'demo/app', 'latest', image)
  }
})

test('a writer that dies in the middle of an upload ends it, and the push begins anew at the other', async () => {
  await using mesh = await startBoth('proxy')
  const [edge, near] = [mesh.node('edge'), mesh.node('near')]
  const location = await begin(edge)
  let sent = 0
  async function* body() {
    for (; sent < 64; sent += 1) {
      // What was sent so far is at the writer, or on its way there.
      if (sent === 8) await near.kill()
      yield bytesOf(`part ${sent}`, MIB)
    }
  }
  const patched = await request(location, { method: 'PATCH', body: Readable.from(body()) })
  expect(patched.statusCode).toBe(502)
  expect(JSON.stringify(await patched.body.json())).toContain('writer near broke off')
  await eventually(() => seesUp(edge, ['far']))
  const put = await fetch(location, { method: 'PATCH', body: 'more' })
  expect(put.status).toBe(503)
  expect((await errorsOf(put))[0]?.message).toContain('begin the push again')
  const image = makeImage('again', { layerBytes: MIB })
  await pushImage(edge.url, 'demo/app', 'v1', image)
  await eventually(isAt(mesh.node('far'), 'v1', image.digest))
})

test('a push stays where it began when the nearest writer comes back in its middle', async () => {
  await using mesh = await startMesh({ text: topologyWith('proxy') }, { start: ['far', 'edge'] })
  const [edge, near] = [mesh.node('edge'), mesh.node('near')]
  await eventually(() => seesUp(edge, ['far']))
  const image = makeImage('two halves', { layers: 2, layerBytes: 100_000 })
  const [first, ...rest] = image.blobs
  if (first === undefined) throw new Error('an image has blobs')
  await pushBlob(edge.url, 'demo/app', first)
  await near.start()
  await eventually(() => seesUp(edge, ['far', 'near']))
  for (const blob of rest) await pushBlob(edge.url, 'demo/app', blob)
  await putManifest(edge.url, 'demo/app', 'v1', image)
  await eventually(async () => (await writerOf(edge, 'v1')) === 'far')
})

test('a client that leaves ends its upload at the writer, and the writer keeps what came', async () => {
  await using mesh = await startBoth('proxy')
  const edge = mesh.node('edge')
  const location = await begin(edge)
  const leave = new AbortController()
  async function* body() {
    for (let at = 0; ; at += 1) {
      if (at === 10) leave.abort()
      yield bytesOf(`part ${at}`, MIB)
    }
  }
  const sending = request(location, {
    method: 'PATCH',
    body: Readable.from(body()),
    signal: leave.signal,
  })
  await expect(sending).rejects.toThrow()
  const whole = Buffer.concat(Array.from({ length: 12 }, (_, at) => bytesOf(`part ${at}`, MIB)))
  const { digest } = makeBlob(whole)
  await eventually(async () => {
    const asked = await fetch(location)
    const offset = Number(/^0-(\d+)$/.exec(asked.headers.get('range') ?? '')?.[1] ?? 0) + 1
    if (offset < MIB) return false
    const put = await fetch(`${location}?digest=${digest}`, {
      method: 'PUT',
      headers: { 'content-range': `${offset}-${whole.length - 1}` },
      body: whole.subarray(offset),
    })
    // The last bytes that the writer got may still be on their way to its disk.
    return put.status === 201
  })
})

test('nodes trust the key that a writer announced, and a push goes through over TLS', async () => {
  await using mesh = await startMesh(
    { text: topologyWith('proxy') },
    { start: [], scheme: 'https' },
  )
  const start = async (node: NodeProcess, certificate: ReturnType<typeof makeCertificate>) => {
    const files = certificateFiles(mesh.directory, node.name)
    await files.write(certificate)
    await node.start({ flags: files.flags })
  }
  const edge = mesh.node('edge')
  await start(edge, makeCertificate({ authority: AUTHORITY }))
  // The client would not believe it; the edge knows its key from the mesh.
  await start(mesh.node('near'), makeCertificate({ names: ['example.org'] }))
  await eventually(() => seesUp(edge, ['near']))
  const image = makeImage('secret', { layerBytes: 2 * MIB })
  await pushImage(edge.url, 'demo/app', 'v1', image)
  await eventually(isAt(edge, 'v1', image.digest))
  await comparePull(edge.url, 'demo/app', 'v1', image)
  expect(await writerOf(edge, 'v1')).toBe('near')
})

test('an upload on its way through a node goes on while that node takes up another topology', async () => {
  await using mesh = await startBoth('proxy')
  const [edge, near] = [mesh.node('edge'), mesh.node('near')]
  const location = await begin(edge)
  const parts = Array.from({ length: 12 }, (_, at) => bytesOf(`part ${at}`, MIB))
  async function* body() {
    for (const [at, part] of parts.entries()) {
      if (at === 6) {
        const text = await readFile(mesh.topologyFile, 'utf8')
        await writeFile(mesh.topologyFile, text.replace('generation: 1', 'generation: 2'))
        process.kill(edge.pid ?? 0, 'SIGHUP')
        await eventually(async () => (await statusOf(edge)).generation === 2)
      }
      yield part
    }
  }
  const patched = await request(location, { method: 'PATCH', body: Readable.from(body()) })
  expect(patched.statusCode).toBe(202)
  await eventually(() => seesUp(edge, ['far', 'near']))
  const { digest } = makeBlob(Buffer.concat(parts))
  const put = await fetch(`${location}?digest=${digest}`, { method: 'PUT' })
  expect(put.status, await put.text()).toBe(201)
  const there = await fetch(`${near.url}/v2/demo/app/blobs/${digest}`, { method: 'HEAD' })
  expect(there.status).toBe(200)
})

test('two layers at once keep together to what the link may carry upwards', async () => {
  const text = topologyWith('proxy').replace(
    'leaves: edge, policies: [all] }',
    'leaves: edge, policies: [all], bandwidth: [{ up: 8Mbit }] }',
  )
  await using mesh = await startMesh({ text })
  const [edge, near] = [mesh.node('edge'), mesh.node('near')]
  await eventually(() => seesUp(edge, ['far', 'near']))
  const layers = ['one', 'two'].map((seed) => makeBlob(bytesOf(seed, 2 * MIB)))
  const beganMs = performance.now()
  await Promise.all(layers.map((layer) => pushBlob(edge.url, 'demo/app', layer)))
  const seconds = (performance.now() - beganMs) / 1_000
  const bits = layers.reduce((sum, { bytes }) => sum + bytes.length * 8, 0)
  // Of ten seconds it would be a tenth: the first piece, 250 ms of the link, goes at once.
  expect(bits / seconds).toBeLessThan(8_000_000 * 1.1)
  for (const { digest } of layers) {
    const there = await fetch(`${near.url}/v2/demo/app/blobs/${digest}`, { method: 'HEAD' })
    expect(there.status).toBe(200)
  }
})

/** More than the 256 MiB of every run: `PROXIED_MIB=4096`. */
const SIZE_MIB = Number(process.env.PROXIED_MIB ?? 256)
/** Growth of the edge, bytes: a fraction of the blob, generous for a lazy collector. */
const MAX_GROWTH = 150 * MIB
/** Milliseconds: a disk that takes 4 MiB a second is slow. */
const LARGE_TIMEOUT = 120_000 + SIZE_MIB * 250

test('memory of the node between does not grow with the blob', {
  timeout: LARGE_TIMEOUT,
}, async () => {
  await using mesh = await startBoth('proxy')
  const edge = mesh.node('edge')
  const rss = () =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${edge.pid}/status`, 'utf8'))?.[1]) * 1024
  const piece = bytesOf('piece', MIB)
  const hasher = createHasher()
  for (let at = 0; at < SIZE_MIB; at += 1) hasher.update(piece)
  const digest = hasher.digest()
  await pushBlob(edge.url, 'demo/app', makeBlob(piece))
  const before = rss()
  let peak = 0
  async function* body() {
    for (let at = 0; at < SIZE_MIB; at += 1) {
      peak = Math.max(peak, rss() - before)
      yield piece
    }
  }
  const location = await begin(edge)
  const patched = await request(location, { method: 'PATCH', body: Readable.from(body()) })
  expect(patched.statusCode).toBe(202)
  await patched.body.dump()
  const put = await fetch(`${location}?digest=${digest}`, { method: 'PUT' })
  expect(put.status).toBe(201)
  expect(peak).toBeLessThan(MAX_GROWTH)
  const near = await fetch(`${mesh.node('near').url}/v2/demo/app/blobs/${digest}`, {
    method: 'HEAD',
  })
  expect(near.headers.get('content-length')).toBe(String(SIZE_MIB * MIB))
})
