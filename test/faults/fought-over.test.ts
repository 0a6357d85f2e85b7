import { expect, test } from 'vitest'
import { recordsOf } from '../helpers/admin-calls.ts'
import { makeImage } from '../helpers/images.ts'
import { createAcknowledged } from './acknowledged.ts'
import { canRun, isFull, startFaultMesh } from './fault-mesh.ts'

const TAGS = 24
const ROUNDS = isFull ? 5 : 1

test.skipIf(!canRun)(
  '24 tags are fought over from three sites: one winner everywhere, every loser at its writer',
  async () => {
    await using faults = await startFaultMesh('mesh.yaml')
    const { mesh, network } = faults
    const pushed = createAcknowledged()
    const tags = Array.from({ length: TAGS }, (_, at) => `v${at}`)
    for (let round = 0; round < ROUNDS; round += 1) {
      // Every second round the sites do not hear each other while they push.
      if (round % 2 === 1) network.partition(...mesh.nodes.map(({ name }) => [name]))
      await Promise.all(
        mesh.nodes.map(async (node) => {
          for (const tag of tags) {
            const image = makeImage(`${round} ${tag} of ${node.name}`, { layers: 1 })
            await pushed.push(node, 'shared/fight', tag, image)
          }
        }),
      )
      network.heal()
    }
    await pushed.check(mesh.nodes)
    expect(pushed.count()).toBe(TAGS * ROUNDS * mesh.nodes.length)
    // The same history everywhere, not only the same winner.
    const histories = await Promise.all(
      mesh.nodes.map(async (node) =>
        (await recordsOf(node, 'shared/fight'))
          .filter(({ reference }) => tags.includes(reference))
          .map(({ reference, known }) => [reference, known.map(({ id }) => id).sort()]),
      ),
    )
    expect(histories[1]).toEqual(histories[0])
    expect(histories[2]).toEqual(histories[0])
  },
)
