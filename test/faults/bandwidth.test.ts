import { expect, test } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { makeImage } from '../helpers/images.ts'
import { startMesh } from '../helpers/mesh-process.ts'
import { makeNamespaces } from '../helpers/namespaces.ts'
import { comparePull, digestAt, pushImage } from '../helpers/registry-calls.ts'
import { canRun } from './fault-mesh.ts'

const RATE = 8_000_000
/** Headers of TCP, HTTP and the mesh are in what is measured. */
const TOLERANCE = 1.1
const TEXT = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: narrow, generation: 1 }
nodes: { hub: {}, eu: {} }
origins: [{ repos: ["**"], writers: hub }]
policies: { all: { match: { repos: ["**"] }, mode: eager } }
links:
  - { shape: star, center: hub, leaves: eu, policies: [all], bandwidth: [{ down: 8Mbit }] }
`

test.skipIf(!canRun)(
  'on the wire no more comes than the link may carry, in the first ten seconds and after',
  async () => {
    using network = makeNamespaces(['hub', 'eu'])
    await using mesh = await startMesh(
      { text: TEXT },
      { flags: ['--anonymous', 'push'], place: network.place },
    )
    const [hub, eu] = [mesh.node('hub'), mesh.node('eu')]
    const image = makeImage('large', { layers: 3, layerBytes: 7_000_000 })
    const received = () => network.receivedBytes('eu')
    const before = received()
    await pushImage(hub.url, 'demo/app', 'v1', image)
    await eventually(() => received() - before > 100_000)
    /** Bits a second while so many bytes come in. */
    const during = async (bytes: number) => {
      const [beganMs, first] = [performance.now(), received()]
      await eventually(() => received() - first > bytes)
      return ((received() - first) * 8_000) / (performance.now() - beganMs)
    }
    const rates = [await during(9_000_000), await during(9_000_000)]
    for (const rate of rates) {
      expect(rate).toBeLessThan(RATE * TOLERANCE)
      expect(rate).toBeGreaterThan(RATE * 0.5)
    }
    await eventually(async () => (await digestAt(eu.url, 'demo/app', 'v1')) === image.digest)
    await comparePull(eu.url, 'demo/app', 'v1', image)
  },
)
