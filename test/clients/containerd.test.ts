import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { arrival, hostOf, startPair } from '../helpers/pair.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { SNAPSHOTS, startContainerd } from './containerd.ts'
import { temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

testWith(['containerd', 'ctr'], { root: true })(
  'containerd pulls from an edge by its address and as a mirror of another name, and pushes to the hub',
  async () => {
    await using mesh = await startPair({ flags: ['--names', 'mesh.test'] })
    await using scratch = await temporaryDirectory()
    await using containerd = await startContainerd(scratch.path)
    const { ctr } = containerd
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = await makeRealImage('containerd')
    await pushImage(hub.url, 'demo/app', 'v1', image)
    expect(await arrival(edge, 'demo/app', 'v1')).toBe(image.digest)

    const pulled = `${hostOf(edge)}/demo/app:v1`
    await ctr('images', 'pull', '--plain-http', ...SNAPSHOTS, pulled)
    const { stdout } = await ctr('images', 'list', `name==${pulled}`)
    expect(stdout).toContain(image.digest)

    const pushed = `${hostOf(hub)}/demo/pushed:v1`
    await ctr('images', 'push', '--plain-http', pushed, pulled)
    expect(await arrival(edge, 'demo/pushed', 'v1')).toBe(image.digest)

    // The way of a cluster: images keep their name, hosts.toml says who has them; requests carry `?ns=`.
    await mkdir(join(scratch.path, 'hosts', 'mesh.test'), { recursive: true })
    await writeFile(
      join(scratch.path, 'hosts', 'mesh.test', 'hosts.toml'),
      `server = "${edge.url}"\n[host."${edge.url}"]\n  capabilities = ["pull", "resolve"]\n`,
    )
    expect(await hub.stop()).toBe(0)
    const hosts = ['--hosts-dir', join(scratch.path, 'hosts')]
    const { stdout: mirrored } = await ctr(
      'images',
      'pull',
      ...hosts,
      ...SNAPSHOTS,
      'mesh.test/demo/pushed:v1',
    )
    expect(mirrored).toContain('done')
  },
)
