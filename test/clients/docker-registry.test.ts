import { join } from 'node:path'
import { expect } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeDockerImage, makeImage, makeIndex } from '../helpers/images.ts'
import { arrival, startPair } from '../helpers/pair.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { collectorFinds, serveWithDocker } from './docker-registry.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'

testWith(['docker-registry'])(
  'docker-registry serves what nodes wrote, running or stopped, and its collector finds nothing wrong and nothing to delete',
  async () => {
    await using mesh = await startPair()
    await using scratch = await temporaryDirectory()
    using port = await reservePort()
    const hub = mesh.node('hub')
    const configFile = join(scratch.path, 'config.yml')
    const app = makeIndex([makeImage('amd', { layerBytes: 200_000 }), makeImage('arm')])
    const moved = makeImage('the tag moves on from here')
    const till = makeDockerImage('till')
    const signature = makeImage('signature', { subject: app })
    await pushImage(hub.url, 'demo/app', 'v1', moved)
    await pushImage(hub.url, 'demo/app', 'v1', app)
    await pushImage(hub.url, 'demo/app', signature.digest, signature)
    await pushImage(hub.url, 'deep/er/till', '3.2.0', till)

    for (const node of mesh.nodes) {
      await eventually(async () => (await digestAt(node.url, 'demo/app', 'v1')) === app.digest)
      await eventually(() => digestAt(node.url, 'demo/app', signature.digest))
      expect(await arrival(node, 'deep/er/till', '3.2.0')).toBe(till.digest)
    }
    for (const node of mesh.nodes) {
      for (const isRunning of [true, false]) {
        if (!isRunning) expect(await node.stop()).toBe(0)
        await using registry = await serveWithDocker(node.dataDirectory, configFile, port.port)
        await comparePull(registry.url, 'demo/app', 'v1', app)
        await comparePull(registry.url, 'deep/er/till', '3.2.0', till)
        const catalog = await fetch(`${registry.url}/v2/_catalog`)
        expect(await catalog.json()).toEqual({ repositories: ['deep/er/till', 'demo/app'] })
        const tags = await fetch(`${registry.url}/v2/demo/app/tags/list`)
        expect(await tags.json()).toEqual({ name: 'demo/app', tags: ['v1'] })
      }
      const { errors, eligible, marked } = await collectorFinds(configFile)
      expect({ errors, eligible }).toEqual({ eligible: '0 blobs and 0 manifests' })
      // It looked at something: index, two children, an image of Docker, each with blobs.
      expect(marked).toBeGreaterThanOrEqual(13)
    }
  },
)

testWith(['docker-registry', 'skopeo'])(
  'skopeo copies out of a data directory that docker-registry serves',
  async () => {
    await using mesh = await startPair()
    await using scratch = await temporaryDirectory()
    using port = await reservePort()
    const app = makeIndex([makeImage('amd'), makeImage('arm')])
    await pushImage(mesh.node('hub').url, 'demo/app', 'v1', app)
    const edge = mesh.node('edge')
    expect(await arrival(edge, 'demo/app', 'v1')).toBe(app.digest)
    expect(await edge.stop()).toBe(0)
    await using registry = await serveWithDocker(
      edge.dataDirectory,
      join(scratch.path, 'config.yml'),
      port.port,
    )
    const source = `docker://${new URL(registry.url).host}/demo/app:v1`
    const copy = ['copy', '--all', '--preserve-digests', '--src-tls-verify=false', source]
    await run('skopeo', ['--insecure-policy', ...copy, `oci:${join(scratch.path, 'layout')}:app`])
  },
)
