import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  descriptorOf,
  makeDockerImage,
  makeImage,
  makeIndex,
  manifestsOf,
  type TestManifest,
} from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { arrival, hostOf } from '../helpers/pair.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'

const skopeo = (...args: readonly string[]) => run('skopeo', ['--insecure-policy', ...args])

/** An OCI image layout on disk, with the image under the name `app`. */
async function writeLayout(directory: string, image: TestManifest): Promise<void> {
  const blobs = join(directory, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  for (const manifest of manifestsOf(image)) {
    for (const { digest, bytes } of [manifest, ...manifest.blobs]) {
      await writeFile(join(blobs, hexOf(digest)), bytes)
    }
  }
  const named = {
    ...descriptorOf(image),
    annotations: { 'org.opencontainers.image.ref.name': 'app' },
  }
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(
    join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [named] }),
  )
}

/** The `dir:` form of skopeo: the only one on disk that holds Docker's media types. */
async function writeDir(directory: string, image: TestManifest): Promise<void> {
  await mkdir(directory)
  await writeFile(join(directory, 'version'), 'Directory Transport Version: 1.1\n')
  await writeFile(join(directory, 'manifest.json'), image.bytes)
  for (const { digest, bytes } of image.blobs)
    await writeFile(join(directory, hexOf(digest)), bytes)
}

/** Every byte of the image, as skopeo laid it down. */
async function expectDir(directory: string, image: TestManifest): Promise<void> {
  for (const manifest of manifestsOf(image)) {
    const name = manifest === image ? 'manifest.json' : `${hexOf(manifest.digest)}.manifest.json`
    await expectFile(join(directory, name), manifest.bytes)
    for (const { digest, bytes } of manifest.blobs)
      await expectFile(join(directory, hexOf(digest)), bytes)
  }
}

async function expectFile(path: string, bytes: Uint8Array): Promise<void> {
  expect((await readFile(path)).equals(bytes), `${path} has the bytes that were pushed`).toBe(true)
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length)
}

testWith(['skopeo'])(
  'skopeo pushes images of several platforms and of Docker to the hub, and pulls the same bytes from an edge without it',
  async () => {
    await using mesh = await startMesh({ file: 'hierarchical.yaml' })
    await using scratch = await temporaryDirectory()
    const [hub, edge] = [mesh.node('hub'), mesh.node('us-2')]
    const platforms = makeIndex([makeImage('amd', { layerBytes: 300_000 }), makeImage('arm')])
    const docker = makeDockerImage('docker', { layerBytes: 100_000 })
    const [layout, dir] = [join(scratch.path, 'layout'), join(scratch.path, 'docker')]
    await writeLayout(layout, platforms)
    await writeDir(dir, docker)

    const push = ['copy', '--all', '--preserve-digests', '--dest-tls-verify=false']
    await skopeo(...push, `oci:${layout}:app`, `docker://${hostOf(hub)}/demo/app:v1.0.0`)
    await skopeo(...push, `dir:${dir}`, `docker://${hostOf(hub)}/demo/till:v3`)
    expect(await arrival(edge, 'demo/app', 'v1.0.0')).toBe(platforms.digest)
    expect(await arrival(edge, 'demo/till', 'v3')).toBe(docker.digest)
    expect(await hub.stop()).toBe(0)

    const pull = ['copy', '--all', '--preserve-digests', '--src-tls-verify=false']
    const [app, till] = [join(scratch.path, 'app-back'), join(scratch.path, 'till-back')]
    await skopeo(...pull, `docker://${hostOf(edge)}/demo/app:v1.0.0`, `dir:${app}`)
    await skopeo(...pull, `docker://${hostOf(edge)}/demo/till:v3`, `dir:${till}`)
    await expectDir(app, platforms)
    await expectDir(till, docker)

    const { stdout } = await skopeo(
      'list-tags',
      '--tls-verify=false',
      `docker://${hostOf(edge)}/demo/app`,
    )
    expect(JSON.parse(stdout).Tags).toEqual(['v1.0.0'])
  },
)

testWith(['skopeo'])('skopeo is told why an edge takes no push, and where to push', async () => {
  await using mesh = await startMesh({ file: 'hierarchical.yaml' }, { start: ['us-2'] })
  await using scratch = await temporaryDirectory()
  const dir = join(scratch.path, 'image')
  await writeDir(dir, makeDockerImage('refused'))
  const target = `docker://${hostOf(mesh.node('us-2'))}/demo/app:v1`
  await expect(skopeo('copy', '--dest-tls-verify=false', `dir:${dir}`, target)).rejects.toThrow(
    `push to hub (${mesh.node('hub').url})`,
  )
})
