import { expect, test } from 'vitest'
import { runSeed } from './seeds.ts'

/** Seeds in one run: each is a mesh with 40 pushes, deletes, cuts, crashes and restarts. */
const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 200)
const BATCH = 25

for (let first = 1; first <= SEEDS; first += BATCH) {
  const last = Math.min(SEEDS, first + BATCH - 1)
  test(`seeds ${first} to ${last} end with every node knowing and holding what the topology says`, async () => {
    const failures: string[] = []
    for (let seed = first; seed <= last; seed += 1) {
      const { error, realm } = await runSeed(seed)
      if (error !== undefined)
        failures.push(`seed ${seed} (${realm}): ${error}; npm run simulate -- --seed ${seed}`)
    }
    expect(failures).toEqual([])
  })
}
