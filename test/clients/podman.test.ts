import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { arrival, hostOf, startPair } from '../helpers/pair.ts'
import { pushImage } from '../helpers/registry-calls.ts'
import { createPodman } from './podman.ts'
import { temporaryDirectory, testWith } from './programs.ts'
import { makeRealImage } from './real-image.ts'

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
