/** What real clients do with a push at a node that is no writer, for each of the ways that a topology knows. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeDockerImage, type TestManifest } from '../helpers/images.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { arrival, hostOf } from '../helpers/pair.ts'
import { reservePort } from '../helpers/ports.ts'
import { digestAt, pushImage } from '../helpers/registry-calls.ts'
import { SNAPSHOTS, startContainerd } from './containerd.ts'
import { startDocker } from './docker-daemon.ts'
import { startPasswordFront } from './password-front.ts'
import { createPodman } from './podman.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

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

/** The `dir:` form of skopeo. */
async function writeDir(directory: string, image: TestManifest): Promise<void> {
  await mkdir(directory)
  await writeFile(join(directory, 'version'), 'Directory Transport Version: 1.1\n')
  await writeFile(join(directory, 'manifest.json'), image.bytes)
  for (const { digest, bytes } of image.blobs)
    await writeFile(join(directory, digest.slice('sha256:'.length)), bytes)
}

for (const way of WAYS) {
  testWith(['skopeo'])(`skopeo at a node that is no writer: ${way}`, async () => {
    await using mesh = await start(way)
    await using scratch = await temporaryDirectory()
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = makeDockerImage('skopeo', { layerBytes: 300_000 })
    const dir = join(scratch.path, 'image')
    await writeDir(dir, image)
    const target = `docker://${hostOf(edge)}/demo/app:v1`
    const copy = () =>
      run('skopeo', [
        '--debug',
        '--insecure-policy',
        'copy',
        '--preserve-digests',
        '--dest-tls-verify=false',
        `dir:${dir}`,
        target,
      ])
    if (way === 'reject') {
      await expect(copy()).rejects.toThrow(`push to hub (${hub.url})`)
      return
    }
    await copy()
    expect(await arrival(hub, 'demo/app', 'v1')).toBe(image.digest)
    expect(await arrival(edge, 'demo/app', 'v1')).toBe(image.digest)
  })

  testWith(['docker', 'dockerd'], { root: true })(
    `docker at a node that is no writer: ${way}`,
    async ({ skip }) => {
      await using engine = await startDocker()
      if (engine.unavailable !== undefined) return skip(engine.unavailable)
      await using mesh = await start(way)
      await using scratch = await temporaryDirectory()
      const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
      await writeFile(join(scratch.path, 'hello'), 'from docker\n')
      const tar = join(scratch.path, 'root.tar')
      await run('tar', ['-C', scratch.path, '-cf', tar, 'hello'])
      const pushed = `${hostOf(edge)}/demo/app:v1`
      await engine.docker('import', tar, pushed)
      if (way === 'reject') {
        await expect(engine.docker('push', pushed)).rejects.toThrow(`push to hub (${hub.url})`)
        return
      }
      const output = await engine.docker('push', pushed)
      const digest = await arrival(edge, 'demo/app', 'v1')
      expect(output).toContain(`v1: digest: ${digest}`)
      expect(await arrival(hub, 'demo/app', 'v1')).toBe(digest)
    },
  )

  testWith(['podman'], { root: true })(`podman at a node that is no writer: ${way}`, async () => {
    await using mesh = await start(way)
    await using scratch = await temporaryDirectory()
    const podman = await createPodman(scratch.path)
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = await makeRealImage('podman')
    await pushImage(hub.url, 'demo/base', 'v1', image)
    await podman('pull', `${hostOf(hub)}/demo/base:v1`)
    const pushed = `${hostOf(edge)}/demo/app:v1`
    await podman('tag', `${hostOf(hub)}/demo/base:v1`, pushed)
    const digestFile = join(scratch.path, 'digest')
    const push = () => podman('push', '--digestfile', digestFile, pushed)
    if (way === 'reject') {
      await expect(push()).rejects.toThrow(`push to hub (${hub.url})`)
      return
    }
    await push()
    const digest = await readFile(digestFile, 'utf8')
    expect(await arrival(hub, 'demo/app', 'v1')).toBe(digest)
    expect(await arrival(edge, 'demo/app', 'v1')).toBe(digest)
  })

  testWith(['containerd', 'ctr'], { root: true })(
    `containerd at a node that is no writer: ${way}`,
    async () => {
      await using mesh = await start(way)
      await using scratch = await temporaryDirectory()
      await using containerd = await startContainerd(scratch.path)
      const { ctr } = containerd
      const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
      const image = await makeRealImage('containerd')
      await pushImage(hub.url, 'demo/base', 'v1', image)
      const pulled = `${hostOf(hub)}/demo/base:v1`
      await ctr('images', 'pull', '--plain-http', ...SNAPSHOTS, pulled)
      const push = () =>
        ctr('images', 'push', '--plain-http', `${hostOf(edge)}/demo/app:v1`, pulled)
      if (way === 'reject') {
        await expect(push()).rejects.toThrow('403')
        return
      }
      await push()
      expect(await arrival(hub, 'demo/app', 'v1')).toBe(image.digest)
      expect(await arrival(edge, 'demo/app', 'v1')).toBe(image.digest)
    },
  )
}

/** The hub stands behind a server that asks for a password; the edge serves nobody without an account. */
async function startBehindPassword() {
  await using building = new AsyncDisposableStack()
  const mesh = building.use(await startMesh({ text: topologyWith('proxy') }, { start: [] }))
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

testWith(['skopeo'])('skopeo pushes through an edge with the password of a writer', async () => {
  await using rig = await startBehindPassword()
  await using scratch = await temporaryDirectory()
  const image = makeDockerImage('skopeo', { layerBytes: 300_000 })
  const dir = join(scratch.path, 'image')
  await writeDir(dir, image)
  const copy = (password: string) =>
    run('skopeo', [
      '--insecure-policy',
      'copy',
      '--preserve-digests',
      '--dest-tls-verify=false',
      '--dest-creds',
      `ci:${password}`,
      `dir:${dir}`,
      `docker://${rig.edgeHost}/demo/app:v1`,
    ])
  await expect(copy('wrong')).rejects.toThrow('unauthorized')
  await copy('secret')
  expect(await digestAt(rig.hubUrl, 'demo/app', 'v1')).toBe(image.digest)
  expect(rig.front.admitted()).toBeGreaterThan(0)
})

testWith(['docker', 'dockerd'], { root: true })(
  'docker logs in at an edge with the password of a writer, and pushes',
  async ({ skip }) => {
    await using engine = await startDocker()
    if (engine.unavailable !== undefined) return skip(engine.unavailable)
    await using rig = await startBehindPassword()
    await using scratch = await temporaryDirectory()
    await writeFile(join(scratch.path, 'hello'), 'from docker\n')
    const tar = join(scratch.path, 'root.tar')
    await run('tar', ['-C', scratch.path, '-cf', tar, 'hello'])
    const pushed = `${rig.edgeHost}/demo/app:v1`
    await engine.docker('import', tar, pushed)
    await expect(engine.docker('push', pushed)).rejects.toThrow('no basic auth credentials')
    await expect(engine.docker('login', '-u', 'ci', '-p', 'wrong', rig.edgeHost)).rejects.toThrow(
      '401',
    )
    await engine.docker('login', '-u', 'ci', '-p', 'secret', rig.edgeHost)
    const output = await engine.docker('push', pushed)
    const digest = await digestAt(rig.hubUrl, 'demo/app', 'v1')
    expect(output).toContain(`v1: digest: ${digest}`)
  },
)
