import { expect, test } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { comparePull, digestAt } from '../helpers/registry-calls.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, startFaultMesh } from './fault-mesh.ts'

test.skipIf(!canRun)(
  'a writer that dies after one copy has left it: the others finish without it',
  async () => {
    // The last node is not up yet, so that exactly one copy leaves.
    await using faults = await startFaultMesh('mesh.yaml', { start: ['fra', 'iad'] })
    const { mesh } = faults
    const [fra, iad, nrt] = [mesh.node('fra'), mesh.node('iad'), mesh.node('nrt')]
    const pushed = createAcknowledged()
    const image = makeImage('last words', { layers: 3, layerBytes: 2_000_000 })
    await pushed.push(fra, 'team-eu/app', 'v1', image)
    await eventually(async () => (await digestAt(iad.url, 'team-eu/app', 'v1')) === image.digest)
    await fra.kill()

    await nrt.start()
    await eventually(async () => (await digestAt(nrt.url, 'team-eu/app', 'v1')) === image.digest)
    await comparePull(nrt.url, 'team-eu/app', 'v1', image)

    await fra.start()
    await pushed.push(fra, 'team-eu/app', 'v2', makeImage('back again'))
    await pushed.check(mesh.nodes)
  },
)

test.skipIf(!canRun)(
  'a hub that dies while its regions fetch: everything is finished when it is back',
  async () => {
    await using faults = await startFaultMesh('hierarchical.yaml')
    const { mesh, network } = faults
    const hub = mesh.node('hub')
    const pushed = createAcknowledged()
    network.shape('hub', 40_000_000)
    const image = makeImage('cut short', { layers: 2, layerBytes: 4_000_000 })
    await pushed.push(hub, 'demo/app', 'v1', image)
    await hub.kill()
    expect(await digestAt(mesh.node('us-2').url, 'demo/app', 'v1')).toBeUndefined()
    await hub.start()
    await pushed.check(mesh.nodes)
  },
)
