/** A topology that changes while real nodes run it: what changes, what goes on, and what is refused. */
import { expect, test } from 'vitest'
import { sealTopology } from '../../src/node/topology-seal.ts'
import { generateIdentity } from '../../src/record/identity.ts'
import { jobsOf, statusOf } from '../helpers/admin-calls.ts'
import { send, startChangingMesh, untilRuns } from '../helpers/changing-mesh.ts'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { comparePull, digestAt, errorsOf, pushImage } from '../helpers/registry-calls.ts'

const STAR = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: change, generation: 1 }
nodes: { hq: {}, lon: {}, par: {} }
origins: [{ repos: ["**"], writers: [hq] }]
policies:
  a: { match: { repos: ["a/**"] }, mode: eager }
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hq, leaves: [lon, par], policies: [all] }
`
const star = (leaves: readonly string[], ...policies: readonly string[]) => ({
  shape: 'star',
  center: 'hq',
  leaves,
  policies,
})

test('apply brings in a node that then gets all that exists, and spreads by the mesh itself', async () => {
  await using changing = await startChangingMesh(STAR, {
    first: (draft) => {
      delete draft.nodes.par
      draft.links = [star(['lon'], 'all')]
    },
    start: ['hq', 'lon'],
  })
  const [hq, lon, par] = [changing.node('hq'), changing.node('lon'), changing.node('par')]
  const image = makeImage('before')
  await pushImage(hq.url, 'a/app', 'v1', image)
  const second = changing.text(2)
  await changing.write(second)
  // It is in the mesh's file before the mesh is: a stranger till then.
  await par.start()

  const to = ['--url', hq.url, '--key', changing.keyFile]
  const applied = entrepot('topology', 'apply', changing.mesh.topologyFile, ...to)
  expect(applied.stderr).toBe('')
  expect(applied.stdout).toContain('node hq runs generation 2')

  await untilRuns(lon, 2)
  await eventually(async () => (await digestAt(par.url, 'a/app', 'v1')) === image.digest)
  await comparePull(par.url, 'a/app', 'v1', image)
  const status = entrepot('status', '--url', lon.url)
  expect(status.stdout).toContain('runs generation 2, signed by the owner')
  const shown = await (await fetch(`${lon.url}/api/v1/topology`)).json()
  expect(shown).toMatchObject({ generation: 2, text: second, signer: changing.owner.peerId })
  // After a restart it is what the node took up that runs, not the file.
  await changing.write(changing.text(1))
  await lon.restart()
  expect(await statusOf(lon)).toMatchObject({ generation: 2, topology: { isSigned: true } })
  expect(lon.log()).toContain('took it up while it ran')
})

test('a link that goes and a filter that narrows let nothing more through; a filter that widens fetches', async () => {
  await using changing = await startChangingMesh(STAR)
  const [hq, lon, par] = [changing.node('hq'), changing.node('lon'), changing.node('par')]
  const [first, second, third] = [makeImage('first'), makeImage('second'), makeImage('third')]
  await pushImage(hq.url, 'b/app', 'v1', first)
  await eventually(async () => (await digestAt(par.url, 'b/app', 'v1')) === first.digest)

  const narrow = changing.text(2, (draft) => {
    draft.links = [star(['lon'], 'a')]
  })
  expect((await changing.apply('hq', narrow)).status).toBe(200)
  await untilRuns(lon, 2)
  await untilRuns(par, 2)
  await pushImage(hq.url, 'b/app', 'v2', second)
  await pushImage(hq.url, 'a/app', 'v1', third)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v1')) === third.digest)
  expect(await digestAt(lon.url, 'b/app', 'v2')).toBeUndefined()
  expect(await digestAt(par.url, 'a/app', 'v1')).toBeUndefined()
  // What a node has stays.
  expect(await digestAt(par.url, 'b/app', 'v1')).toBe(first.digest)
  expect((await statusOf(hq)).neighbours.map(({ name }) => name)).toEqual(['lon'])

  const wide = changing.text(3)
  // Given at a node that no link leads to any more: it stands in the file, and offers it to nobody it could not reach.
  expect((await changing.apply('hq', wide)).status).toBe(200)
  await untilRuns(par, 3)
  for (const node of [lon, par]) {
    await eventually(async () => (await digestAt(node.url, 'b/app', 'v2')) === second.digest)
    await eventually(async () => (await digestAt(node.url, 'a/app', 'v1')) === third.digest)
  }
})

test('a node that was away takes up what it missed, by owners that changed meanwhile', async () => {
  await using changing = await startChangingMesh(STAR)
  const [hq, lon, par] = [changing.node('hq'), changing.node('lon'), changing.node('par')]
  const heir = generateIdentity()
  await par.stop()
  const second = changing.text(2, (draft) => {
    draft.metadata.owner = heir.peerId
  })
  expect((await changing.apply('hq', second)).status).toBe(200)
  const third = changing.text(3, (draft) => {
    draft.metadata.owner = heir.peerId
    draft.links = [star(['lon'], 'all')]
    delete draft.nodes.par
  })
  // The former owner's word counts no more.
  expect((await changing.apply('hq', third)).status).toBe(403)
  expect((await changing.apply('hq', third, heir)).status).toBe(200)
  await untilRuns(lon, 3)

  const image = makeImage('after')
  await pushImage(hq.url, 'a/app', 'v1', image)
  // It is no part of the mesh any more, and learns of that from those who knew it.
  await par.start()
  await untilRuns(par, 3)
  const { topology } = await statusOf(par)
  expect(topology.outside).toContain('node par is not in generation 3')
  const body = Buffer.from(image.bytes)
  const headers = { 'content-type': image.mediaType }
  const path = `${par.url}/v2/a/app/manifests/v1`
  const push = await fetch(path, { method: 'PUT', body, headers })
  expect(push.status).toBe(403)
  expect((await errorsOf(push))[0]?.message).toContain('not in generation 3')
  expect(await digestAt(par.url, 'a/app', 'v1')).toBeUndefined()
  // And is taken in again.
  const fourth = changing.text(4)
  expect((await changing.apply('lon', fourth, heir)).status).toBe(200)
  await untilRuns(par, 4)
  await eventually(async () => (await digestAt(par.url, 'a/app', 'v1')) === image.digest)
})

test('what no owner signed, is not newer, is not good or is of another mesh is refused with the reason', async () => {
  await using changing = await startChangingMesh(STAR, { start: ['hq'] })
  const hq = changing.node('hq')
  const refusal = async (answer: Promise<Response>) => {
    const { status, ...rest } = await answer
    const { error } = (await (await answer).json()) as { error: { code: string; message: string } }
    return { ...rest, status: (await answer).status, ...error }
  }
  const forged = changing.apply('hq', changing.text(2), generateIdentity())
  expect(await refusal(forged)).toMatchObject({ status: 403, code: 'SIGNATURE_INVALID' })

  const text = changing.text(2)
  const sealed = sealTopology(changing.owner, { realm: 'change', generation: 2, text })
  const altered = send(hq, { ...sealed, text: changing.text(2, ({ links }) => links.pop()) })
  expect(await refusal(altered)).toMatchObject({ status: 403, code: 'SIGNATURE_INVALID' })

  const old = changing.apply(
    'hq',
    changing.text(1, ({ links }) => links.pop()),
  )
  expect(await refusal(old)).toMatchObject({
    status: 409,
    code: 'GENERATION_OLD',
    message: expect.stringContaining('write metadata.generation: 2 or higher'),
  })

  const other = changing.text(2, ({ metadata }) => {
    metadata.name = 'other'
  })
  expect(await refusal(changing.apply('hq', other))).toMatchObject({ code: 'REALM_OTHER' })

  const failing = changing.text(2, (draft) => {
    draft.tests = [{ name: 'to par', from: 'hq', image: 'b/app:v1', present: ['hq', 'lon', 'par'] }]
    draft.links = [star(['lon'], 'all')]
  })
  expect(await refusal(changing.apply('hq', failing))).toMatchObject({
    status: 400,
    code: 'TESTS_FAILED',
    message: expect.stringContaining('to par'),
  })

  const broken = JSON.stringify({ ...JSON.parse(text), links: [star(['nobody'], 'all')] })
  const unread = send(hq, sealTopology(changing.owner, { ...sealed, text: broken }))
  expect(await refusal(unread)).toMatchObject({ status: 400, code: 'TOPOLOGY_INVALID' })

  const keyless = changing.text(2, ({ nodes }) => {
    nodes.hq = { ...nodes.hq, peerId: undefined }
  })
  expect(await refusal(changing.apply('hq', keyless))).toMatchObject({
    status: 409,
    code: 'NODE_UNFIT',
    message: expect.stringContaining('write there: peerId: 12D3Koo'),
  })

  const { generation, topology } = await statusOf(hq)
  expect({ generation, from: topology.rejected?.from }).toEqual({ generation: 1, from: 'apply' })
  expect(entrepot('status', '--url', hq.url).stdout).toMatch(/rejected +generation 2, from apply: /)
})

test('SIGHUP takes a good file without a signature and leaves a bad one; each end goes by its own file', async () => {
  await using changing = await startChangingMesh(STAR, { start: ['hq', 'lon'] })
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  const hup = (pid: number | undefined) => process.kill(pid ?? 0, 'SIGHUP')
  const [a, b, c] = [makeImage('a'), makeImage('b'), makeImage('c')]

  await changing.write('nodes: nothing')
  hup(hq.pid)
  await eventually(() => hq.log().includes('topology file not taken'))
  expect((await statusOf(hq)).generation).toBe(1)

  // The sender lets less through than the reader would take.
  const narrow = (generation: number) =>
    changing.text(generation, (draft) => {
      draft.links = [star(['lon', 'par'], 'a')]
    })
  await changing.write(narrow(2))
  hup(hq.pid)
  await untilRuns(hq, 2)
  expect((await statusOf(hq)).topology.isSigned).toBe(false)
  await pushImage(hq.url, 'b/app', 'v1', b)
  await pushImage(hq.url, 'a/app', 'v1', a)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v1')) === a.digest)
  expect(await digestAt(lon.url, 'b/app', 'v1')).toBeUndefined()
  expect((await statusOf(lon)).generation).toBe(1)

  // The reader takes less than the sender would let through.
  hup(lon.pid)
  await untilRuns(lon, 2)
  await changing.write(changing.text(3))
  hup(hq.pid)
  await untilRuns(hq, 3)
  await pushImage(hq.url, 'a/app', 'v2', c)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v2')) === c.digest)
  expect(await digestAt(lon.url, 'b/app', 'v1')).toBeUndefined()

  // One generation, two files: each keeps its own, and says so.
  await changing.write(
    changing.text(3, ({ origins }) => origins.push({ repos: ['x'], writers: ['lon'] })),
  )
  hup(lon.pid)
  await untilRuns(lon, 3)
  await eventually(() => hq.log().includes('another topology of the same generation'))
  hup(hq.pid)
  await eventually(async () => (await statusOf(hq)).topology.rejected !== undefined)
  expect((await statusOf(hq)).topology.rejected).toMatchObject({ generation: 3, from: 'reload' })
})

test('a transfer that nothing wants any more stops and leaves nothing half; one that is wanted still goes on', async () => {
  await using changing = await startChangingMesh(STAR, {
    first: (draft) => {
      draft.links = [{ ...star(['lon'], 'all'), bandwidth: [{ down: '16Mbit' }] }]
    },
    start: ['hq', 'lon'],
  })
  const [hq, lon] = [changing.node('hq'), changing.node('lon')]
  // Four seconds each, if nothing else is under way.
  const large = { layers: 1, layerBytes: 8 * 1024 * 1024 }
  const [a, b] = [makeImage('a', large), makeImage('b', large)]
  await pushImage(hq.url, 'b/app', 'v1', b)
  await pushImage(hq.url, 'a/app', 'v1', a)
  const begun = (jobs: Awaited<ReturnType<typeof jobsOf>>) =>
    jobs.filter(({ state, bytesDone }) => state === 'running' && bytesDone > 0).length === 2
  await eventually(async () => begun(await jobsOf(lon)))

  const narrow = changing.text(2, (draft) => {
    draft.links = [star(['lon'], 'a')]
  })
  expect((await changing.apply('hq', narrow)).status).toBe(200)
  await untilRuns(lon, 2)
  await eventually(async () => (await digestAt(lon.url, 'a/app', 'v1')) === a.digest)
  await comparePull(lon.url, 'a/app', 'v1', a)
  const open = (await jobsOf(lon)).filter(({ state }) => state !== 'done')
  expect(open).toEqual([])
  expect(await digestAt(lon.url, 'b/app', 'v1')).toBeUndefined()
  for (const { digest } of b.blobs) {
    const answer = await fetch(`${lon.url}/v2/b/app/blobs/${digest}`, { method: 'HEAD' })
    expect(answer.status).toBe(404)
  }
  expect(entrepot('converged', '--url', hq.url, '--wait', '--timeout', '30s').status).toBe(0)
})

test('uploads, downloads and live streams that began before a change go on after it', async () => {
  await using changing = await startChangingMesh(STAR, {
    start: ['hq'],
    flags: ['--readers', '1'],
  })
  const hq = changing.node('hq')
  const image = makeImage('large', { layers: 1, layerBytes: 48 * 1024 * 1024 })
  const [config, layer] = image.blobs
  if (config === undefined || layer === undefined) throw new Error('no layer')
  await pushImage(hq.url, 'a/old', 'v1', image)

  const download = await fetch(`${hq.url}/v2/a/old/blobs/${layer.digest}`)
  const reader = download.body?.getReader()
  let bytes = (await reader?.read())?.value?.length ?? 0
  const stream = await fetch(`${hq.url}/api/v1/events`)
  const events = stream.body?.pipeThrough(new TextDecoderStream()).getReader()
  const begun = await fetch(`${hq.url}/v2/a/new/blobs/uploads/`, { method: 'POST' })
  let location = new URL(begun.headers.get('location') ?? '', hq.url)
  const other = makeImage('another', { layers: 1, layerBytes: 2_000_000 })
  const blob = other.blobs[1]
  if (blob === undefined) throw new Error('no layer')
  const patched = await fetch(location, { method: 'PATCH', body: blob.bytes.slice(0, 1_000_000) })
  location = new URL(patched.headers.get('location') ?? '', hq.url)

  const changed = await changing.apply('hq', changing.text(2))
  expect(changed.status).toBe(200)

  location.searchParams.set('digest', blob.digest)
  const ended = await fetch(location, { method: 'PUT', body: blob.bytes.slice(1_000_000) })
  expect(ended.status).toBe(201)
  for (;;) {
    const part = await reader?.read()
    if (part?.value === undefined) break
    bytes += part.value.length
  }
  expect(bytes).toBe(layer.bytes.length)
  await pushImage(hq.url, 'a/new', 'v1', other)
  let told = ''
  while (!/topology-adopted[\s\S]*record-stored/.test(told)) {
    const part = await events?.read()
    if (part?.value === undefined) throw new Error(`the live stream ended: ${told}`)
    told += part.value
  }
  await events?.cancel()
  expect(hq.log()).toMatch(/topology taken up/)
})
