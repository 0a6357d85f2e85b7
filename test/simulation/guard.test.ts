/** Guards of deletes under faults: no more go at once than they let through, and all of them at a person's word. */
import { expect, test } from 'vitest'
import { runWorld } from './run-world.ts'
import { guardedTopology } from './topologies.ts'

const SEEDS = Number(process.env.GUARD_SEEDS ?? 60)
/** What a guard remembers goes with its disk, a day is over when a clock says so, and other files have no guards. */
const FAULTS = { losesDisks: false, movesClocks: false, changesTopology: false }

for (let seed = 1; seed <= SEEDS; seed += 1) {
  test(`seed ${seed} lets no more deletes go than its guards, and all at a person's word`, async () => {
    const story: string[] = []
    const world = await runWorld({
      seed,
      topology: guardedTopology(),
      faults: FAULTS,
      story,
    }).catch((err: unknown) => {
      throw new Error(`${story.slice(-40).join('\n')}\n${String(err)}`, { cause: err })
    })
    expect(world.nodes.size).toBe(4)
  })
}
