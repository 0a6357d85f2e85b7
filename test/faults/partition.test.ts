import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { digestAt } from '../helpers/registry-calls.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, isFull, startFaultMesh } from './fault-mesh.ts'

/** Milliseconds: longer than what notices a dead connection, in the full run. */
const APART_MS = isFull ? 45_000 : 3_000

test.skipIf(!canRun)('both sides of a partition go on, and agree when it heals', async () => {
  await using faults = await startFaultMesh('mesh.yaml')
  const { mesh, network } = faults
  const [fra, iad, nrt] = [mesh.node('fra'), mesh.node('iad'), mesh.node('nrt')]
  const pushed = createAcknowledged()
  const before = makeImage('before')
  await pushed.push(fra, 'shared/app', 'v1', before)
  for (const { url } of [iad, nrt]) {
    await eventually(async () => (await digestAt(url, 'shared/app', 'v1')) === before.digest)
  }

  network.partition(['fra'], ['iad', 'nrt'])
  const own = makeImage('of iad')
  await pushed.push(iad, 'team-us/app', 'v1', own)
  await pushed.push(fra, 'team-eu/app', 'v1', makeImage('of fra'))
  await pushed.push(fra, 'shared/app', 'v1', makeImage('fra says'))
  await pushed.push(nrt, 'shared/app', 'v1', makeImage('nrt says'))
  // Who can reach each other goes on.
  await eventually(async () => (await digestAt(nrt.url, 'team-us/app', 'v1')) === own.digest)
  await delay(APART_MS)
  expect(await digestAt(fra.url, 'team-us/app', 'v1')).toBeUndefined()
  expect(await digestAt(nrt.url, 'team-eu/app', 'v1')).toBeUndefined()

  network.heal()
  await pushed.check(mesh.nodes)
})

test.skipIf(!canRun)(
  'a link that carries one way only does not keep news away for good',
  async () => {
    await using faults = await startFaultMesh('mesh.yaml')
    const { mesh, network } = faults
    const pushed = createAcknowledged()
    network.cutOneWay('fra', 'nrt')
    await pushed.push(mesh.node('fra'), 'team-eu/app', 'v1', makeImage('one way'))
    await pushed.push(mesh.node('nrt'), 'team-ap/app', 'v1', makeImage('other way'))
    await delay(APART_MS / 3)
    network.heal()
    await pushed.check(mesh.nodes)
  },
)
