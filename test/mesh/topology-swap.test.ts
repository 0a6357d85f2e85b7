/** What is under way while real nodes take up another topology: transfers, rights, the process itself, and another change. */
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { topologyDirectory } from '../../src/node/topology-files.ts'
import { sealTopology } from '../../src/node/topology-seal.ts'
import { jobsOf, recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { send, startChangingMesh, untilRuns } from '../helpers/changing-mesh.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage, type TestBlob } from '../helpers/images.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { startCountingProxy } from './counting-proxy.ts'

const MIB = 1024 * 1024
const STAR = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: swap, generation: 1 }
nodes: { hq: {}, lon: {} }
origins: [{ repos: ["**"], writers: [hq] }]
policies:
  a: { match: { repos: ["a/**"] }, mode: eager }
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hq, leaves: [lon], policies: [all], bandwidth: [{ down: 8Mbit }] }
`
const narrowed = { shape: 'star', center: 'hq', leaves: ['lon'], policies: ['a'] }

test('a transfer that a change cuts goes on from where it was, and no token opens what the new file takes away', async () => {
  using own = await reservePort()
  using front = await reservePort()
  using other = await reservePort()
  using mesh1 = await reservePort()
  using mesh2 = await reservePort()
  await using proxy = await startCountingProxy(front.port, own.port)
  await using changing = await startChangingMesh(STAR, {
    start: [],
    place: (name) => ({
      endpoint: `http://127.0.0.1:${name === 'hq' ? front.port : other.port}`,
      mesh: `/ip4/127.0.0.1/tcp/${name === 'hq' ? mesh1.port : mesh2.port}`,
      within: [],
    }),
  })
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  await Promise.all([hq.start({ flags: ['--listen', `127.0.0.1:${own.port}`] }), lon.start()])
  const statusFor = async (repository: string, { digest }: TestBlob, token: string | undefined) => {
    const headers = { authorization: `Bearer ${token}` }
    const url = `http://127.0.0.1:${own.port}/v2/${repository}/blobs/${digest}`
    return (await fetch(url, { method: 'HEAD', headers })).status
  }

  const [small, large] = [
    makeImage('small'),
    makeImage('large', { layers: 1, layerBytes: 8 * MIB }),
  ]
  const [taken] = small.blobs
  const [left] = large.blobs
  if (taken === undefined || left === undefined) throw new Error('no blobs')
  await pushImage(hq.url, 'b/app', 'v1', small)
  await eventually(async () => (await digestAt(lon.url, 'b/app', 'v1')) === small.digest)
  await pushImage(hq.url, 'a/app', 'v1', large)
  const before = proxy.sent()
  await eventually(async () => (await jobsOf(lon)).some(({ bytesDone }) => bytesDone > 2 * MIB))
  const former = proxy.tokens().at(-1)
  expect(await statusFor('b/app', taken, former)).toBe(200)

  const second = changing.text(2, (draft) => {
    draft.links = [{ ...narrowed, bandwidth: [{ down: '8Mbit' }] }]
  })
  expect((await changing.apply('hq', second)).status).toBe(200)
  await untilRuns(lon, 2)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v1')) === large.digest)
  await comparePull(lon.url, 'a/app', 'v1', large)
  const total = large.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0)
  // What sockets held at the change was lost: less than a megabyte.
  expect(proxy.sent() - before).toBeLessThan(total + MIB)
  expect(proxy.sent() - before).toBeGreaterThanOrEqual(total)

  const newest = proxy.tokens().at(-1)
  expect(newest).not.toBe(former)
  expect(await statusFor('a/app', left, newest)).toBe(200)
  expect(await statusFor('b/app', taken, newest)).toBe(403)
  expect(await statusFor('b/app', taken, former)).toBe(401)
})

test('a node that is killed when it has kept a file and does not run it yet runs it from its next start on, and gives it on', async () => {
  await using changing = await startChangingMesh(STAR)
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  for (const generation of [2, 3]) {
    const kept = join(
      topologyDirectory(hq.dataDirectory),
      `${String(generation).padStart(16, '0')}.json`,
    )
    const applied = changing.apply('hq', changing.text(generation)).catch(() => 'cut off')
    while (!existsSync(kept)) await turn()
    await hq.kill()
    await applied
    await hq.start()
    expect((await statusOf(hq)).generation).toBe(generation)
    await untilRuns(lon, generation)
    const image = makeImage(`of ${generation}`)
    await pushImage(hq.url, 'a/app', 'v1', image)
    await eventually(async () => (await digestAt(lon.url, 'a/app', 'v1')) === image.digest)
  }
})

test('what comes when it is asked for comes also while nodes take up another topology', async () => {
  await using changing = await startChangingMesh(STAR.replaceAll('eager', 'lazy'))
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  const tags = Array.from({ length: 100 }, (_, at) => `v${at}`)
  for (const tag of tags) {
    await pushImage(hq.url, 'a/app', tag, makeImage(tag, { layers: 1, layerBytes: 1_000 }))
  }
  await eventually(async () => (await recordsOf(lon, 'a/app', tags.at(-1))).length > 0)
  let isOver = false
  const over = changing
    .apply('lon', changing.text(2))
    .then(() => Promise.all([untilRuns(hq, 2), untilRuns(lon, 2)]))
    .then(() => {
      isOver = true
    })
  const missing: string[] = []
  let askedMeanwhile = 0
  for (const tag of tags) {
    if ((await digestAt(lon.url, 'a/app', tag)) === undefined) missing.push(tag)
    if (!isOver) askedMeanwhile += 1
  }
  await over
  expect(missing).toEqual([])
  expect(askedMeanwhile).toBeGreaterThan(0)
})

/** Waits for the moment in which nobody listens at the port, and takes it. */
async function takePort(port: number, signal: AbortSignal): Promise<Server> {
  while (!signal.aborted) {
    const server = createServer((socket) => socket.destroy())
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (taken) return server
    await turn()
  }
  throw new Error('the port was never free')
}

test('a node that can run neither topology, for its port is taken, serves what it has, and runs the former one when it can', async () => {
  await using changing = await startChangingMesh(STAR)
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  const image = makeImage('image')
  await pushImage(hq.url, 'a/app', 'v1', image)
  const port = Number(hq.meshAddress.split('/').at(-1))
  const enough = new AbortController()
  const taking = takePort(port, enough.signal)
  taking.catch(() => {})
  // Once in a while the node is quicker.
  let generation = 2
  let applied = changing.apply('hq', changing.text(generation))
  let taken = await Promise.race([taking, applied.then(() => undefined)])
  for (; taken === undefined && generation < 12; ) {
    generation += 1
    applied = changing.apply('hq', changing.text(generation))
    taken = await Promise.race([taking, applied.then(() => undefined)])
  }
  enough.abort()
  if (taken === undefined) throw new Error('the port was never taken')

  await eventually(() => hq.log().includes('the node is without its mesh'))
  expect((await fetch(`${hq.url}/readyz`)).status).toBe(503)
  await comparePull(hq.url, 'a/app', 'v1', image)
  const { bytes, mediaType } = image
  const push = await fetch(`${hq.url}/v2/a/app/manifests/v2`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: Buffer.from(bytes),
  })
  expect([push.status, push.headers.get('retry-after')]).toEqual([503, '2'])

  taken.close()
  const answer = await applied
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ error: { code: 'NOT_RUN' } })
  expect((await statusOf(hq)).generation).toBe(generation - 1)
  expect((await changing.apply('hq', changing.text(generation))).status).toBe(200)
  await pushImage(hq.url, 'a/app', 'v2', image)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v2')) === image.digest)
})

test('a node that is taken out while it runs hears of it, serves what it has, and is given no more', async () => {
  await using changing = await startChangingMesh(STAR)
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  const [first, second] = [makeImage('first'), makeImage('second')]
  await pushImage(hq.url, 'a/app', 'v1', first)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v1')) === first.digest)
  const without = changing.text(2, (draft) => {
    delete draft.nodes.lon
    draft.links = []
  })
  expect((await changing.apply('hq', without)).status).toBe(200)
  await untilRuns(lon, 2)
  expect((await statusOf(lon)).topology.outside).toContain('node lon is not in generation 2')
  await pushImage(hq.url, 'a/app', 'v1', second)
  await comparePull(lon.url, 'a/app', 'v1', first)
  expect(await digestAt(lon.url, 'a/app', 'v1')).toBe(first.digest)
  expect((await statusOf(lon)).neighbours).toEqual([])
})

test('changes that come together are taken one after the other, and a higher generation ends every difference', async () => {
  await using changing = await startChangingMesh(STAR)
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  // Two operators, one generation, two files; and the operator of one machine at the same time.
  await changing.write(changing.text(3))
  const narrow = changing.text(2, (draft) => {
    draft.links = [narrowed]
  })
  const both = [changing.apply('hq', changing.text(2)), changing.apply('lon', narrow)]
  process.kill(hq.pid ?? 0, 'SIGHUP')
  for (const answer of both) expect([200, 409]).toContain((await answer).status)
  await untilRuns(hq, 3)
  await untilRuns(lon, 2)

  // Far more than a file may be: refused before it is looked at.
  const large = { realm: 'swap', generation: 4, text: `#${'x'.repeat(10 * MIB)}` }
  const refused = await send(hq, sealTopology(changing.owner, large))
  expect(refused.status).toBe(400)
  expect(await refused.text()).toContain('at most')

  expect((await changing.apply('lon', changing.text(4))).status).toBe(200)
  await untilRuns(hq, 4)
  const image = makeImage('after')
  await pushImage(hq.url, 'b/app', 'v1', image)
  await eventually(async () => (await digestAt(lon.url, 'b/app', 'v1')) === image.digest)
})
