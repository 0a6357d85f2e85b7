import { expect, test } from 'vitest'
import { runSeeds } from './seed-threads.ts'
import type { SeedOutcome } from './seeds.ts'

/** Seeds in one run: each is a mesh with some 35 pushes, deletes and faults. CI runs more. */
const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 2_000)
/** Seeds of a test: one that fails says so soon. */
const BATCH = 100
const THREADS = 2
/** Seeds that are run twice. */
const TWICE = 20

for (let first = 1; first <= SEEDS; first += BATCH) {
  const count = Math.min(BATCH, SEEDS - first + 1)
  test(`seeds ${first} to ${first + count - 1} end with every node knowing and holding what the topology says`, async () => {
    const failures: string[] = []
    await runSeeds({ first, count, threads: THREADS }, ({ seed, realm, error }) => {
      if (error !== undefined)
        failures.push(`seed ${seed} (${realm}): ${error}; npm run simulate -- --seed ${seed}`)
      return true
    })
    expect(failures).toEqual([])
  })
}

test('a seed has the same story whenever it runs', async () => {
  const run = async (threads: number) => {
    const all: SeedOutcome[] = []
    await runSeeds({ first: 1, count: TWICE, threads }, (outcome) => {
      all.push(outcome)
      return true
    })
    return all.sort((a, b) => a.seed - b.seed)
  }
  // Other threads, other neighbours in them: nothing may leak from one seed into the next.
  const [one, other] = [await run(1), await run(3)]
  expect(one.filter(({ story }) => story.length < 10)).toEqual([])
  expect(other).toEqual(one)
})
