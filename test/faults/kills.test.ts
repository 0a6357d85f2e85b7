import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { makeImage } from '../helpers/images.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, isFull, startFaultMesh } from './fault-mesh.ts'

const PUSHES = isFull ? 50 : 12
/** Milliseconds between a start and the next kill, at most. */
const UP_MS = 1_500
const seed = process.env.FAULTS_SEED ?? String(process.pid)

test.skipIf(!canRun)(
  `every node is killed and started again in random order during pushes (FAULTS_SEED=${seed})`,
  async () => {
    const random = createSeededRandom(seed)
    await using faults = await startFaultMesh('hierarchical.yaml')
    const { mesh } = faults
    const pushed = createAcknowledged()
    let isPushing = true
    let kills = 0

    async function killing(): Promise<void> {
      const left: string[] = []
      // Every node at least once, also when the pushes are over sooner.
      while (isPushing || kills < mesh.nodes.length) {
        if (left.length === 0) left.push(...mesh.nodes.map(({ name }) => name))
        const [name = ''] = left.splice(random.below(left.length), 1)
        await delay(random.below(UP_MS))
        const node = mesh.node(name)
        await node.kill()
        await delay(random.below(UP_MS))
        await node.start()
        kills += 1
      }
    }

    const killer = killing()
    for (let at = 0; at < PUSHES; at += 1) {
      const image = makeImage(`push ${at}`, { layers: 2, layerBytes: 50_000 })
      await pushed.push(mesh.node('hub'), 'demo/app', `v${at % 9}`, image)
    }
    isPushing = false
    await killer
    expect(kills).toBeGreaterThanOrEqual(mesh.nodes.length)
    expect(pushed.count()).toBe(PUSHES)
    await pushed.check(mesh.nodes)
  },
)
