import { join } from 'node:path'
import { expect } from 'vitest'
import { entrepot } from '../helpers/command.ts'
import { eventually } from '../helpers/eventually.ts'
import {
  DOCKER_LIST,
  makeDockerImage,
  makeImage,
  makeIndex,
  type TestManifest,
} from '../helpers/images.ts'
import { startPair } from '../helpers/pair.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { collectorFinds, serveWithDocker } from './docker-registry.ts'
import { temporaryDirectory, testWith } from './programs.ts'

/** What distribution is used for: multi-platform images of both kinds, plain ones, and a signature by digest. */
const app = makeIndex([makeImage('amd', { layerBytes: 200_000 }), makeImage('arm')])
const list = makeIndex([makeDockerImage('docker amd'), makeDockerImage('docker arm')], DOCKER_LIST)
const till = makeDockerImage('till', { layerBytes: 300_000 })
const before = makeImage('the tag moves on from here')
const signature = makeImage('signature', { subject: app })
const CONTENT: readonly (readonly [string, string, TestManifest])[] = [
  ['demo/app', 'v1', app],
  ['demo/list', 'v1', list],
  ['deep/er/till', '3.2.0', till],
  ['demo/app', signature.digest, signature],
  ['demo/app', before.digest, before],
]

async function fill(dataDirectory: string, configFile: string, port: number): Promise<void> {
  await using registry = await serveWithDocker(dataDirectory, configFile, port)
  await pushImage(registry.url, 'demo/app', 'v1', before)
  for (const [repository, reference, image] of CONTENT) {
    await pushImage(registry.url, repository, reference, image)
  }
}

async function compareAll(url: string): Promise<void> {
  for (const [repository, reference, image] of CONTENT) {
    await comparePull(url, repository, reference, image)
  }
}

testWith(['docker-registry'])(
  'a node serves what docker-registry filled, writes beside it, and docker-registry serves both again',
  async () => {
    await using mesh = await startPair({ start: [] })
    await using scratch = await temporaryDirectory()
    using port = await reservePort()
    const configFile = join(scratch.path, 'config.yml')
    const hub = mesh.node('hub')
    await fill(hub.dataDirectory, configFile, port.port)

    const adopted = entrepot('adopt', '--data', hub.dataDirectory)
    expect(adopted.stderr).toBe('')
    expect(adopted.stdout).toBe(
      [
        'found 3 repositories: 9 manifests, 21 blob links, 3 tags',
        'new in the index: 9 manifests, 21 blob links, 3 tags',
        'nothing is signed yet: a node that may write these repositories does that at its next start',
        '',
      ].join('\n'),
    )
    expect(adopted.status).toBe(0)
    expect(entrepot('adopt', '--data', hub.dataDirectory).stdout).toContain(
      'new in the index: 0 manifests, 0 blob links, 0 tags',
    )
    const verified = entrepot('verify', '--data', hub.dataDirectory)
    expect(verified.stdout).toMatch(/\nno damage\n$/)
    expect(verified.status).toBe(0)

    await Promise.all(mesh.nodes.map((node) => node.start()))
    await compareAll(hub.url)
    const referrers = await fetch(`${hub.url}/v2/demo/app/referrers/${app.digest}`)
    expect(await referrers.json()).toMatchObject({ manifests: [{ digest: signature.digest }] })
    // A push takes an adopted tag over, and what it shares with adopted content goes to the neighbours.
    const next = makeImage('next', { sharedLayers: app.children[0]?.blobs.slice(1) ?? [] })
    await pushImage(hub.url, 'demo/app', 'v1', next)
    const edge = mesh.node('edge')
    await eventually(async () => (await digestAt(edge.url, 'demo/app', 'v1')) === next.digest)
    await comparePull(edge.url, 'demo/app', 'v1', next)
    // A tag that nobody pushed here is deleted like any other.
    const gone = await fetch(`${hub.url}/v2/demo/list/manifests/v1`, { method: 'DELETE' })
    expect(gone.status).toBe(202)
    expect(await hub.stop()).toBe(0)

    await using registry = await serveWithDocker(hub.dataDirectory, configFile, port.port)
    await comparePull(registry.url, 'demo/app', 'v1', next)
    await comparePull(registry.url, 'demo/app', app.digest, app)
    await comparePull(registry.url, 'demo/list', list.digest, list)
    await comparePull(registry.url, 'deep/er/till', '3.2.0', till)
    expect(await digestAt(registry.url, 'demo/list', 'v1')).toBeUndefined()
    const { errors, eligible, marked } = await collectorFinds(configFile)
    expect({ errors, eligible }).toEqual({ eligible: '0 blobs and 0 manifests' })
    expect(marked).toBeGreaterThanOrEqual(29)
    expect(entrepot('verify', '--data', hub.dataDirectory).status).toBe(0)
  },
)

testWith(['docker-registry'])(
  'a node that is started on such a directory adopts it by itself, and goes on with it after kill -9',
  async () => {
    await using mesh = await startPair({ start: [] })
    await using scratch = await temporaryDirectory()
    using port = await reservePort()
    const hub = mesh.node('hub')
    await fill(hub.dataDirectory, join(scratch.path, 'config.yml'), port.port)
    const starting = hub.start()
    await eventually(() => hub.pid !== undefined)
    await hub.kill()
    await starting.catch(() => {})
    await hub.start()
    await compareAll(hub.url)
    const tags = await fetch(`${hub.url}/v2/demo/app/tags/list`)
    expect(await tags.json()).toEqual({ name: 'demo/app', tags: ['v1'] })
  },
)
