import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { arrival, hostOf, startPair } from '../helpers/pair.ts'
import { startDocker } from './docker-daemon.ts'
import { run, temporaryDirectory, testWith } from './programs.ts'

testWith(['docker', 'dockerd'], { root: true })(
  'docker pushes to the hub and pulls the same image from an edge, also when the hub is gone',
  async ({ skip }) => {
    await using engine = await startDocker()
    if (engine.unavailable !== undefined) return skip(engine.unavailable)
    await using mesh = await startPair()
    await using scratch = await temporaryDirectory()
    const [hub, edge] = [mesh.node('hub'), mesh.node('edge')]
    await writeFile(join(scratch.path, 'hello'), 'from docker\n')
    const tar = join(scratch.path, 'root.tar')
    await run('tar', ['-C', scratch.path, '-cf', tar, 'hello'])
    const pushed = `${hostOf(hub)}/demo/app:v1`
    const id = await engine.docker('import', tar, pushed)
    const output = await engine.docker('push', pushed)
    const digest = await arrival(edge, 'demo/app', 'v1')
    expect(output).toContain(`v1: digest: ${digest}`)

    expect(await hub.stop()).toBe(0)
    await engine.docker('rmi', pushed)
    const pulled = `${hostOf(edge)}/demo/app:v1`
    expect(await engine.docker('pull', pulled)).toContain(`Digest: ${digest}`)
    expect(await engine.docker('image', 'inspect', '--format', '{{.Id}}', pulled)).toBe(id)
  },
)
