import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { JobDetail, PausesView } from '../../src/admin/job-view.ts'
import type { JobView } from '../../src/events/mesh-event.ts'
import { jobsOf, statusOf } from '../helpers/admin-calls.ts'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { startCountingProxy } from './counting-proxy.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const MIB = 1024 * 1024

/** 8 Mbit a second are 1 MiB: an image of 8 MiB is on its way for as long as a few requests take. */
const slow = (rate: string) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: demo, generation: 1 }
nodes: { hub: {}, edge: {} }
origins:
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["demo/**"] }, mode: eager }
  tools: { match: { repos: ["tools/**"] }, mode: eager, priority: 5 }
links:
  - { shape: star, center: hub, leaves: edge, policies: [all, tools], bandwidth: [{ down: ${rate} }] }
`

/** A command at the edge. @returns what it says as JSON @throws what it says instead */
function jobs<T>({ url }: NodeProcess, ...words: readonly string[]): T {
  const { status, stdout, stderr } = entrepot('jobs', ...words, '--url', url, '--json')
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`)
  return JSON.parse(stdout) as T
}

/** What a command would ask, without the seconds that a process takes to start on busy cores. */
async function ask<T>({ url }: NodeProcess, method: string, path: string): Promise<T> {
  const answer = await fetch(`${url}/api/v1/${path}`, { method })
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`)
  return (await answer.json()) as T
}

const pathOf = (id: string) => `jobs/${encodeURIComponent(id)}`

/** The job of the edge, once as much of it came. */
function runningJob(edge: NodeProcess, bytes: number): Promise<JobView> {
  return eventually(async () =>
    (await jobsOf(edge)).find((job) => job.state === 'running' && job.bytesDone >= bytes),
  )
}

const isAt = (node: NodeProcess, repository: string, digest: string) => async () =>
  (await digestAt(node.url, repository, 'v1')) === digest

test('a link is paused while a large blob comes and resumed: no byte comes twice', async () => {
  using own = await reservePort()
  using front = await reservePort()
  await using proxy = await startCountingProxy(front.port, own.port)
  using mesh1 = await reservePort()
  using edgePort = await reservePort()
  using mesh2 = await reservePort()
  await using mesh = await startMesh(
    { text: slow('8Mbit') },
    {
      start: [],
      place: (name) => ({
        endpoint: `http://127.0.0.1:${name === 'hub' ? front.port : edgePort.port}`,
        mesh: `/ip4/127.0.0.1/tcp/${name === 'hub' ? mesh1.port : mesh2.port}`,
        within: [],
      }),
    },
  )
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  await Promise.all([hub.start({ flags: ['--listen', `127.0.0.1:${own.port}`] }), edge.start()])
  const image = makeImage('large', { layers: 1, layerBytes: 8 * MIB })
  await pushImage(hub.url, 'demo/app', 'v1', image)
  const before = proxy.sent()

  const { id } = await runningJob(edge, 2 * MIB)
  const running = await ask<JobDetail>(edge, 'GET', pathOf(id))
  expect(running).toMatchObject({ phase: 'blobs', from: ['hub'], policies: ['all'] })
  expect(running.bytesPerSecond).toBeGreaterThan(0)
  expect(running.log.map(({ text }) => text)).toContain('phase blobs')

  const pause = await ask(edge, 'POST', 'pauses?link=hub')
  expect(pause).toMatchObject({ scope: 'link', name: 'hub' })
  const paused = await eventually(async () =>
    (await jobsOf(edge)).find((job) => job.state === 'waiting'),
  )
  expect(paused.reason).toContain('link hub is paused')
  // What was on its way has come by now, and no more comes.
  const stood = proxy.sent()
  const { status, stdout } = entrepot('status', '--url', edge.url)
  expect([status, stdout]).toEqual([0, expect.stringMatching(/paused +link hub since \d{4}-/)])
  expect(proxy.sent()).toBe(stood)
  const told = await ask<JobDetail>(edge, 'GET', pathOf(id))
  expect(told.asked.at(-1)).toMatchObject({
    node: 'hub',
    outcome: 'unreachable',
  })

  await ask(edge, 'DELETE', 'pauses?link=hub')
  await eventually(isAt(edge, 'demo/app', image.digest))
  const total = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0)
  // Headers and the manifest come once more; what sockets held at the pause was lost: less than a megabyte.
  expect(proxy.sent() - before).toBeLessThan(total + MIB)
  expect(proxy.sent() - before).toBeGreaterThanOrEqual(total)
  await comparePull(edge.url, 'demo/app', 'v1', image)
})

test('a pause of all outlives a restart; what is here is served meanwhile', async () => {
  await using mesh = await startMesh({ text: slow('16Mbit') })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [first, second] = [makeImage('first'), makeImage('second')]
  await pushImage(hub.url, 'demo/app', 'v1', first)
  await eventually(isAt(edge, 'demo/app', first.digest))
  expect(jobs(edge, 'pause', '--all')).toMatchObject({ scope: 'all' })
  await edge.restart()
  expect((await statusOf(edge)).paused).toMatchObject([{ scope: 'all' }])
  // What ended before the restart, with its lines.
  const [before] = jobs<{ job: JobView }[]>(edge, 'history')
  expect(before?.job).toMatchObject({ digest: first.digest, state: 'done' })
  expect(jobs(edge, 'show', before?.job.id ?? '')).toMatchObject({
    log: expect.arrayContaining([expect.objectContaining({ text: 'try 1 begins' })]),
  })
  await pushImage(hub.url, 'demo/other', 'v1', second)
  const [job] = await eventually(async () => {
    const open = (await jobsOf(edge)).filter(({ digest }) => digest === second.digest)
    return open.length === 1 && open[0]?.state === 'queued' ? open : undefined
  })
  expect(job).toMatchObject({ pausedBy: 'all', attempts: 0 })
  expect(jobs<JobView[]>(edge, '--paused')).toMatchObject([{ reason: 'all transfers are paused' }])
  await expect(ask(edge, 'POST', `${pathOf(job?.id ?? '')}/retry`)).rejects.toThrow(/resume that/)
  await comparePull(edge.url, 'demo/app', 'v1', first)
  await ask(edge, 'DELETE', 'pauses?all=true')
  await eventually(isAt(edge, 'demo/other', second.digest))
  const [ended] = jobs<{ job: JobView }[]>(edge, 'history', '--state', 'done')
  expect(ended?.job).toMatchObject({ digest: second.digest, state: 'done' })
})

test('a policy is paused and another one goes on; a job is cancelled and retried, paused and resumed', async () => {
  await using mesh = await startMesh({ text: slow('4Mbit') })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const [app, tool] = [makeImage('app', { layers: 1, layerBytes: 6 * MIB }), makeImage('tool')]
  await pushImage(hub.url, 'demo/app', 'v1', app)
  const { id } = await runningJob(edge, MIB / 2)
  await ask(edge, 'POST', 'pauses?policy=all')
  expect(await ask<JobView>(edge, 'GET', pathOf(id))).toMatchObject({
    state: 'queued',
    pausedBy: 'policy all',
  })
  await pushImage(hub.url, 'tools/cli', 'v1', tool)
  await eventually(isAt(edge, 'tools/cli', tool.digest))
  expect(jobs(edge, 'cancel', id)).toMatchObject({ state: 'held' })
  expect(jobs<PausesView>(edge, 'resume', '--policy', 'all').pauses).toEqual([])
  await expect(ask(edge, 'POST', `${pathOf(id)}/resume`)).rejects.toThrow(/retry it/)
  await ask(edge, 'POST', `${pathOf(id)}/retry`)
  await runningJob(edge, 1)
  const held = await ask<JobView>(edge, 'POST', `${pathOf(id)}/pause`)
  expect(held).toMatchObject({ state: 'held', pausedBy: 'job' })
  await edge.restart()
  await eventually(async () => (await jobsOf(edge)).some((job) => job.pausedBy === 'job'))
  await ask(edge, 'POST', `${pathOf(id)}/resume`)
  await eventually(isAt(edge, 'demo/app', app.digest))
  await comparePull(edge.url, 'demo/app', 'v1', app)
})

test('a watcher without a terminal reads each change as a line, over a restart of the node', async () => {
  await using mesh = await startMesh({ text: slow('16Mbit') })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const watcher = spawn(process.execPath, [MAIN, 'jobs', '--watch', '--url', edge.url])
  try {
    let text = ''
    watcher.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await eventually(() => text.includes('edge: 0 open jobs'))
    const first = makeImage('first')
    await pushImage(hub.url, 'demo/app', 'v1', first)
    await eventually(() => text.includes(`demo/app@${first.digest} v1`) && /done \(/.test(text))
    expect(text).toMatch(/running demo\/app@/)
    await edge.restart()
    // Before that a job might come and go unseen.
    await eventually(() => /connecting again.*edge: \d+ open jobs/s.test(text))
    let number = 0
    await eventually(async () => {
      number += 1
      await pushImage(hub.url, 'tools/cli', 'v1', makeImage(`second ${number}`))
      return /done \(.*\) tools\/cli@/.test(text)
    })
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
    const gone = once(watcher, 'exit')
    watcher.kill('SIGINT')
    expect(await gone).toEqual([0, null])
  } finally {
    watcher.kill('SIGKILL')
  }
})
