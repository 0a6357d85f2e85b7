/** What real clients do with a push at a node that is no writer, for each of the ways that a topology knows. */
import { expect } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { arrival, hostOf } from '../helpers/pair.ts'
import { reservePort } from '../helpers/ports.ts'
import { digestAt } from '../helpers/registry-calls.ts'
import { startPasswordFront } from './password-front.ts'
import { PUSHING_CLIENTS } from './pushers.ts'

const WAYS = ['reject', 'redirect', 'proxy'] as const
type Way = (typeof WAYS)[number]

const topologyWith = (way: Way) => `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: elsewhere, generation: 1 }
nodes: { hub: {}, edge: {} }
origins:
  - { repos: ["**"], writers: hub, elsewhere: ${way} }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: edge, policies: [all] }
`

/** A hub, and an edge that knows that the hub is up. */
async function start(way: Way): Promise<MeshProcess> {
  const mesh = await startMesh({ text: topologyWith(way) })
  await eventually(async () => {
    const { neighbours } = await statusOf(mesh.node('edge'))
    return neighbours.every(({ state }) => state === 'up')
  })
  return mesh
}

for (const client of PUSHING_CLIENTS) {
  for (const way of WAYS) {
    client.test(`${client.name} at a node that is no writer: ${way}`, async ({ skip }) => {
      await using mesh = await start(way)
      const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
      const target = `${hostOf(edge)}/demo/app:v1`
      await using pusher = await client.prepare({ target, from: hub.url })
      if (pusher.unavailable !== undefined) return skip(pusher.unavailable)
      if (way === 'reject') {
        await expect(pusher.push()).rejects.toThrow(`push to hub (${hub.url})`)
        return
      }
      const digest = await pusher.push()
      expect(await arrival(hub, 'demo/app', 'v1')).toBe(digest)
      expect(await arrival(edge, 'demo/app', 'v1')).toBe(digest)
    })
  }

  client.test(`${client.name} says why no writer takes a push`, async ({ skip }) => {
    await using mesh = await start('proxy')
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const target = `${hostOf(edge)}/demo/app:v1`
    await using pusher = await client.prepare({ target, from: hub.url })
    if (pusher.unavailable !== undefined) return skip(pusher.unavailable)
    await hub.kill()
    // None of them shows the body of a 503: it stands in the status line.
    await expect(pusher.push()).rejects.toThrow(
      new RegExp(`503 no writer of demo/app is reached .*push to hub \\(${hub.url}\\)`),
    )
  })
}

/** The hub stands behind a server that asks for a password; the edge serves nobody without an account. */
async function startBehindPassword(way: Way) {
  await using building = new AsyncDisposableStack()
  const mesh = building.use(await startMesh({ text: topologyWith(way) }, { start: [] }))
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const behind = building.use(await reservePort())
  const front = building.use(
    await startPasswordFront({
      port: Number(new URL(hub.url).port),
      behind: behind.port,
      user: 'ci',
      password: 'secret',
    }),
  )
  await hub.start({ flags: ['--listen', `127.0.0.1:${behind.port}`, '--anonymous', 'push'] })
  await edge.start({ flags: ['--anonymous', 'none'] })
  await eventually(async () => {
    const { neighbours } = await statusOf(edge)
    return neighbours.every(({ state }) => state === 'up')
  })
  const parts = building.move()
  return {
    front,
    /** Where the hub answers without a password. */
    hubUrl: `http://127.0.0.1:${behind.port}`,
    /** Another host than the hub's: credentials do not follow from one to the other. */
    edgeHost: `localhost:${new URL(edge.url).port}`,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** With the wrong password; docker does not get so far as to push. */
const REFUSALS: Readonly<Record<string, string>> = {
  skopeo: 'unauthorized',
  docker: '401 Unauthorized',
  podman: 'unauthorized',
  containerd: '401',
}

for (const client of PUSHING_CLIENTS) {
  client.test(
    `${client.name} pushes through an edge with the password of a writer`,
    async ({ skip }) => {
      await using rig = await startBehindPassword('proxy')
      const push = async (credentials: string) => {
        const target = `${rig.edgeHost}/demo/app:v1`
        await using pusher = await client.prepare({ target, from: rig.hubUrl, credentials })
        return pusher.unavailable === undefined ? await pusher.push() : skip(pusher.unavailable)
      }
      await expect(push('ci:wrong')).rejects.toThrow(REFUSALS[client.name])
      expect(rig.front.admitted()).toBe(0)
      const digest = await push('ci:secret')
      expect(await digestAt(rig.hubUrl, 'demo/app', 'v1')).toBe(digest)
      expect(rig.front.admitted()).toBeGreaterThan(0)
    },
  )

  client.test(
    `${client.name} takes its password to no other host: a redirect ends at 401`,
    async ({ skip }) => {
      await using rig = await startBehindPassword('redirect')
      const target = `${rig.edgeHost}/demo/app:v1`
      const credentials = 'ci:secret'
      await using pusher = await client.prepare({ target, from: rig.hubUrl, credentials })
      if (pusher.unavailable !== undefined) return skip(pusher.unavailable)
      await expect(pusher.push()).rejects.toThrow(REFUSALS[client.name])
      expect(rig.front.admitted()).toBe(0)
    },
  )
}
