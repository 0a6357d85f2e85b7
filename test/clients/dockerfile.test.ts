import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, pushImage } from '../helpers/registry-calls.ts'
import { makeBaseImages, whyNoPackages } from './base-images.ts'
import { type Docker, startDocker } from './docker-daemon.ts'
import { sayIt, temporaryDirectory, testWith } from './programs.ts'

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url))
const IMAGE = 'entrepot:test'
/** Bytes: Node.js has 145 MB, a slim Debian 75 to 82, our dependencies 30. More means that something came along. */
const MAX_IMAGE_BYTES = 280_000_000
/** Milliseconds until a container engine stops waiting for SIGTERM to work. */
const STOP_MS = 10_000
/** Milliseconds: 50 to 100 s on two cores, half a minute more for the first run on a machine; twice that. */
const TIMEOUT_MS = 300_000

async function buildImage(engine: Docker): Promise<void> {
  const begun = performance.now()
  await makeBaseImages(engine)
  const based = performance.now()
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) =>
    process.env[name] === undefined ? [] : ['--build-arg', name],
  )
  await engine.docker('build', '--network=host', ...proxies, '--tag', IMAGE, CHECKOUT)
  const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(0)} s`
  sayIt(`bases ${seconds(begun, based)}, docker build ${seconds(based, performance.now())}`)
}

testWith(['docker', 'dockerd', 'debootstrap', 'tar', 'npm'], { root: true })(
  'the container image is small, runs as nobody special, becomes healthy, keeps its data, and ends in time with code 0',
  { timeout: TIMEOUT_MS },
  async ({ skip }) => {
    await using engine = await startDocker()
    if (engine.unavailable !== undefined) return skip(engine.unavailable)
    const { docker } = engine
    const unreachable = await whyNoPackages()
    if (unreachable !== undefined) return skip(unreachable)
    await buildImage(engine)
    const size = Number(await docker('image', 'inspect', '--format', '{{.Size}}', IMAGE))
    sayIt(`the image has ${(size / 1e6).toFixed(0)} MB`)
    expect(size).toBeLessThan(MAX_IMAGE_BYTES)

    // As the first lines of the Dockerfile say it: an identity first, its peer id into the topology, then the node.
    await using scratch = await temporaryDirectory()
    using registry = await reservePort()
    using mesh = await reservePort()
    await docker('volume', 'create', 'hub')
    const peerId = await docker(
      'run',
      '--rm',
      '--network=host',
      '--volume=hub:/data',
      IMAGE,
      'identity',
      'new',
    )
    const topology = join(scratch.path, 'topology.yaml')
    const url = `http://127.0.0.1:${registry.port}`
    await writeFile(
      topology,
      `apiVersion: entrepot/v1
kind: Topology
metadata: { name: container, generation: 1 }
nodes:
  hub: { endpoint: "${url}", mesh: /ip4/127.0.0.1/tcp/${mesh.port}, peerId: ${peerId} }
origins:
  - { repos: ["**"], writers: hub }
policies: {}
links: []
`,
    )
    const options = [
      '--detach --name=hub --network=host --health-interval=1s --volume=hub:/data',
      `--volume=${topology}:/etc/entrepot/topology.yaml:ro`,
      '--env=ENTREPOT_NODE=hub --env=ENTREPOT_ANONYMOUS=push',
      `--env=ENTREPOT_LISTEN=0.0.0.0:${registry.port}`,
      `--env=ENTREPOT_MESH_LISTEN=/ip4/0.0.0.0/tcp/${mesh.port}`,
    ].flatMap((line) => line.split(' '))
    await docker('run', ...options, IMAGE)
    const state = (field: string) => docker('inspect', '--format', `{{.State.${field}}}`, 'hub')
    const healthy = async () => {
      const end = await eventually(async () => {
        if ((await state('Running')) !== 'true') return 'it ended'
        return (await state('Health.Status')) === 'healthy' ? 'healthy' : undefined
      })
      expect(end, await engine.logs('hub')).toBe('healthy')
    }
    await healthy()
    const status = await readFile(`/proc/${await state('Pid')}/status`, 'utf8')
    expect(status).toMatch(/^Uid:\t10001\t10001\t10001\t10001$/m)

    const image = makeImage('container', { layerBytes: 500_000 })
    await pushImage(url, 'demo/app', 'v1', image)
    const begun = performance.now()
    await docker('stop', '--time', '30', 'hub')
    const took = performance.now() - begun
    sayIt(`SIGTERM ended the container in ${took.toFixed(0)} ms`)
    expect(took).toBeLessThan(STOP_MS)
    expect(await state('ExitCode')).toBe('0')

    await docker('start', 'hub')
    await healthy()
    await comparePull(url, 'demo/app', 'v1', image)
  },
)
