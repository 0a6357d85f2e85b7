/** Real clients pull from a node that holds nothing until they ask. */
import { expect } from 'vitest'
import { recordsOf, statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { type MeshProcess, startMesh } from '../helpers/mesh-process.ts'
import { hostOf } from '../helpers/pair.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { SNAPSHOTS, startContainerd } from './containerd.ts'
import { startDocker } from './docker-daemon.ts'
import { createPodman } from './podman.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

const REPO = 'demo/app'
const TOPOLOGY = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: lazy, generation: 1 }
nodes: { hub: {}, edge: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  lazy: { match: { repos: ["**"] }, mode: lazy }
links:
  - { shape: star, center: hub, leaves: edge, policies: [lazy] }
`

/** An image at the hub that the edge has heard of and does not hold. */
async function start(seed: string) {
  const mesh: MeshProcess = await startMesh({ text: TOPOLOGY })
  const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
  const image = await makeRealImage(seed)
  await pushImage(hub.url, REPO, 'v1', image)
  await eventually(async () => (await recordsOf(edge, REPO, 'v1').catch(() => [])).length > 0)
  expect((await statusOf(edge)).counters.blobsFetched).toBe(0)
  const isKept = () =>
    eventually(async () => (await recordsOf(edge, REPO, 'v1'))[0]?.held === image.digest)
  return { mesh, edge, image, isKept, pulled: `${hostOf(edge)}/${REPO}:v1` }
}

testWith(['skopeo'])('skopeo copies from a lazy node', async () => {
  const { mesh, pulled, image, isKept } = await start('skopeo')
  await using _mesh = mesh
  await using scratch = await temporaryDirectory()
  const copy = ['--insecure-policy', 'copy', '--preserve-digests', '--src-tls-verify=false']
  await run('skopeo', [...copy, `docker://${pulled}`, `dir:${scratch.path}/image`])
  const { stdout } = await run('sha256sum', [`${scratch.path}/image/manifest.json`])
  expect(`sha256:${stdout.split(' ')[0]}`).toBe(image.digest)
  await isKept()
})

testWith(['docker', 'dockerd'], { root: true })(
  'docker pulls from a lazy node',
  async ({ skip }) => {
    await using engine = await startDocker()
    if (engine.unavailable !== undefined) return skip(engine.unavailable)
    const { mesh, pulled, image, isKept } = await start('docker')
    await using _mesh = mesh
    expect(await engine.docker('pull', pulled)).toContain(`Digest: ${image.digest}`)
    await isKept()
  },
)

testWith(['podman'], { root: true })('podman pulls from a lazy node', async () => {
  const { mesh, pulled, isKept } = await start('podman')
  await using _mesh = mesh
  await using scratch = await temporaryDirectory()
  const podman = await createPodman(scratch.path)
  await podman('pull', pulled)
  await isKept()
})

testWith(['containerd', 'ctr'], { root: true })('containerd pulls from a lazy node', async () => {
  const { mesh, pulled, image, isKept } = await start('containerd')
  await using _mesh = mesh
  await using scratch = await temporaryDirectory()
  await using containerd = await startContainerd(scratch.path)
  await containerd.ctr('images', 'pull', '--plain-http', ...SNAPSHOTS, pulled)
  const { stdout } = await containerd.ctr('images', 'list', `name==${pulled}`)
  expect(stdout).toContain(image.digest)
  await isKept()
})
