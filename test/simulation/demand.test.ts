/** Platforms and windows under faults: every node ends with the images of its platforms, and with no others. */
import { expect, test } from 'vitest'
import { runWorld } from './run-world.ts'
import { demandTopology } from './topologies.ts'

const SEEDS = Number(process.env.DEMAND_SEEDS ?? 60)

for (let seed = 1; seed <= SEEDS; seed += 1) {
  test(`seed ${seed} ends with every node holding its platforms, and no others`, async () => {
    const story: string[] = []
    const world = await runWorld({ seed, topology: demandTopology(), faults: {}, story }).catch(
      (err: unknown) => {
        throw new Error(`${story.slice(-40).join('\n')}\n${String(err)}`, { cause: err })
      },
    )
    expect(world.nodes.size).toBe(5)
  })
}
