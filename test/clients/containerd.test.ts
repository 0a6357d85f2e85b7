import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { arrival, hostOf, startPair } from '../helpers/pair.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { run, startDaemon, temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

/** containerd with a root, a state and a socket of its own. @returns how to run `ctr` with it */
async function startContainerd(directory: string) {
  const socket = join(directory, 'c.sock')
  const configFile = join(directory, 'config.toml')
  await writeFile(
    configFile,
    `version = 2
root = "${join(directory, 'root')}"
state = "${join(directory, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${socket}"
`,
  )
  const daemon = startDaemon('containerd', ['--config', configFile])
  const ctr = (...args: readonly string[]) => run('ctr', ['--address', socket, ...args])
  await eventually(() => {
    if (!daemon.isRunning()) throw new Error(`containerd ended: ${daemon.log()}`)
    return ctr('version')
  })
  return { ctr, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() }
}

/** Unpacks by copying: needs nothing of the kernel. */
const SNAPSHOTS = ['--snapshotter', 'native']

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
