import { copyFile, cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { identityPath } from '../../src/node/identity-file.ts'
import { statusOf } from '../helpers/admin-calls.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import type { NodeProcess } from '../helpers/node-process.ts'
import { digestAt } from '../helpers/registry-calls.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, startFaultMesh } from './fault-mesh.ts'

const indexOf = (node: NodeProcess) => join(node.dataDirectory, 'entrepot', 'index')

test.skipIf(!canRun).each(['fra', 'nrt'])(
  'the disk of %s is wiped, its identity kept: everything comes back, its own pushes too',
  async (name) => {
    await using faults = await startFaultMesh('mesh.yaml')
    const { mesh } = faults
    const [fra, lost] = [mesh.node('fra'), mesh.node(name)]
    const pushed = createAcknowledged()
    for (const tag of ['v1', 'v2', 'v3']) {
      await pushed.push(fra, 'team-eu/app', tag, makeImage(`eu ${tag}`))
    }
    await pushed.push(fra, 'shared/app', 'v1', makeImage('shared'))
    await pushed.check(mesh.nodes)

    await lost.kill()
    const identity = join(mesh.directory, `${name}.key`)
    await copyFile(identityPath(lost.dataDirectory), identity)
    await rm(lost.dataDirectory, { recursive: true })
    pushed.diskLost(lost)
    await lost.start({ env: {}, flags: ['--anonymous', 'push', '--identity', identity] })
    // A push right after the start must not be signed in ignorance of its own past.
    await pushed.push(lost, 'shared/app', 'v1', makeImage(`after the loss at ${name}`))
    await pushed.check(mesh.nodes)
  },
)

test.skipIf(!canRun).each(['fra', 'nrt'])(
  'the index of %s is rolled back to a backup: what came after it is there again, and fetched once',
  async (name) => {
    await using faults = await startFaultMesh('mesh.yaml')
    const { mesh } = faults
    const [fra, rolled] = [mesh.node('fra'), mesh.node(name)]
    const pushed = createAcknowledged()
    await pushed.push(fra, 'team-eu/app', 'v1', makeImage('before the backup'))
    await pushed.check(mesh.nodes)
    await rolled.stop()
    const backup = join(mesh.directory, 'backup')
    await cp(indexOf(rolled), backup, { recursive: true })
    await rolled.start()

    const later = makeImage('after the backup')
    await pushed.push(fra, 'team-eu/app', 'v1', makeImage('moved on'))
    await pushed.push(fra, 'team-eu/app', 'v2', later)
    await pushed.check(mesh.nodes)
    await rolled.kill()
    await rm(indexOf(rolled), { recursive: true })
    await cp(backup, indexOf(rolled), { recursive: true })
    await rolled.start()
    await eventually(async () => (await digestAt(rolled.url, 'team-eu/app', 'v2')) === later.digest)
    // The files were there all the time.
    expect((await statusOf(rolled)).counters.blobsFetched).toBe(0)
    await pushed.push(fra, 'team-eu/app', 'v2', makeImage('and further'))
    await pushed.check(mesh.nodes)
  },
)
