import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { arrival, hostOf, startPair } from '../helpers/pair.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

/** podman with storage and settings of its own, so that nothing of the machine's is read or changed. */
async function createPodman(directory: string) {
  const policy = join(directory, 'policy.json')
  await writeFile(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const registries = join(directory, 'registries.conf')
  await writeFile(registries, 'unqualified-search-registries = []\n')
  const accounts = join(directory, 'auth.json')
  await writeFile(accounts, '{}')
  const storage = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run')]
  const rest = [
    '--tmpdir',
    join(directory, 'tmp'),
    '--storage-driver',
    'vfs',
    '--events-backend',
    'none',
  ]
  const env = {
    CONTAINERS_REGISTRIES_CONF: registries,
    REGISTRY_AUTH_FILE: accounts,
  }
  return async (...args: readonly string[]) => {
    const isTransfer = args[0] === 'pull' || args[0] === 'push'
    const trust = isTransfer ? ['--tls-verify=false', '--signature-policy', policy] : []
    const [command = '', ...more] = args
    return run('podman', [...storage, ...rest, command, ...trust, ...more], { env })
  }
}

testWith(['podman'], { root: true })(
  'podman pulls from an edge what was pushed at the hub, pushes to the hub, and finds that at the edge',
  async () => {
    await using mesh = await startPair()
    await using scratch = await temporaryDirectory()
    const podman = await createPodman(scratch.path)
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    const image = await makeRealImage('podman')
    await pushImage(hub.url, 'demo/app', 'v1', image)
    expect(await arrival(edge, 'demo/app', 'v1')).toBe(image.digest)

    const pulled = `${hostOf(edge)}/demo/app:v1`
    await podman('pull', pulled)
    const { stdout: id } = await podman('inspect', '--format', '{{.Id}}', pulled)
    expect(`sha256:${id.trim()}`).toBe(image.blobs[0]?.digest)

    const pushed = `${hostOf(hub)}/demo/pushed:v1`
    await podman('tag', pulled, pushed)
    const digestFile = join(scratch.path, 'digest')
    await podman('push', '--digestfile', digestFile, pushed)
    expect(await arrival(edge, 'demo/pushed', 'v1')).toBe(await readFile(digestFile, 'utf8'))

    // Everything again, from the edge alone.
    expect(await hub.stop()).toBe(0)
    await podman('rmi', '--all', '--force')
    await podman('pull', `${hostOf(edge)}/demo/pushed:v1`)
    const { stdout: again } = await podman('images', '--no-trunc', '--format', '{{.ID}}')
    expect(again.trim()).toBe(image.blobs[0]?.digest)
  },
)
