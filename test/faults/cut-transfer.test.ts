import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { digestAt } from '../helpers/registry-calls.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, isFull, startFaultMesh } from './fault-mesh.ts'

const LAYER_BYTES = 8_000_000
const CUTS = isFull ? 4 : 1
/** Headers of TCP and what was on its way when the link was cut. */
const OVERHEAD = 1.25

test.skipIf(!canRun)(
  'a link is cut in the middle of a large layer: it goes on from there',
  async () => {
    await using faults = await startFaultMesh('master-slave.yaml', { start: ['hq', 'lon'] })
    const { mesh, network } = faults
    network.shape('lon', 20_000_000)
    const before = network.receivedBytes('lon')
    const pushed = createAcknowledged()
    const image = makeImage('large', { layers: 1, layerBytes: LAYER_BYTES })
    await pushed.push(mesh.node('hq'), 'demo/app', 'v1', image)
    for (let cut = 1; cut <= CUTS; cut += 1) {
      const part = (LAYER_BYTES * cut) / (CUTS + 1)
      await eventually(() => network.receivedBytes('lon') - before > part)
      network.partition(['hq'], ['lon'])
      await delay(1_000)
      network.heal()
    }
    await eventually(
      async () => (await digestAt(mesh.node('lon').url, 'demo/app', 'v1')) === image.digest,
    )
    const received = network.receivedBytes('lon') - before
    await pushed.check([mesh.node('hq'), mesh.node('lon')])
    expect(received).toBeLessThan(LAYER_BYTES * OVERHEAD)
  },
)
