import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeDockerImage, makeImage, makeIndex } from '../helpers/images.ts'
import { reservePort } from '../helpers/ports.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { arrival, startPair } from './pair.ts'
import { type Daemon, run, startDaemon, temporaryDirectory, testWith } from './programs.ts'

/** A registry of others over a data directory of ours. */
async function serveWithDocker(dataDirectory: string, configFile: string, port: number) {
  const config = {
    version: '0.1',
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: dataDirectory }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
  }
  // YAML is a superset of JSON.
  await writeFile(configFile, JSON.stringify(config))
  const daemon: Daemon = startDaemon('docker-registry', ['serve', configFile])
  const url = `http://127.0.0.1:${port}`
  await eventually(async () => {
    if (!daemon.isRunning()) throw new Error(`docker-registry ended: ${daemon.log()}`)
    return (await fetch(`${url}/v2/`)).ok
  })
  return { url, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() }
}

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
      const collect = ['garbage-collect', '--dry-run', configFile]
      const { stdout, stderr } = await run('docker-registry', collect)
      expect(stderr).not.toMatch(/level=(error|fatal)|failed/)
      expect(stdout).toMatch(/ 0 blobs and 0 manifests eligible for deletion/)
      // It looked at something: index, two children, an image of Docker, each with blobs.
      expect(Number(/(\d+) blobs marked/.exec(stdout)?.[1])).toBeGreaterThanOrEqual(13)
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
