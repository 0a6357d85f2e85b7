/** Narrow and closed links under faults: real nodes on simulated time keep to them, and end as if they were not there. */
import { expect, test } from 'vitest'
import { limitsInto } from '../../src/topology/rates.ts'
import { runWorld } from './run-world.ts'
import { narrowTopology } from './topologies.ts'

const SEEDS = 24
const START_MS = Date.UTC(2026, 0, 1)
/** A wall clock that is set changes the hour at which a link opens: that is another test's matter. */
const FAULTS = { movesClocks: false }

test('the links are as narrow as they are meant to be', () => {
  const limits = limitsInto(narrowTopology(), 'site-1' as never)
  expect(limits.get('hub' as never)?.at(START_MS)).toBe(0)
  expect(limits.get('hub' as never)?.at(START_MS + 60_000)).toBe(500)
  expect(limits.get('site-2' as never)?.at(START_MS)).toBe(800)
})

for (let seed = 1; seed <= SEEDS; seed += 1) {
  test(`seed ${seed} ends with every node holding what the topology says, over links that are narrow`, async () => {
    const story: string[] = []
    const world = await runWorld({ seed, topology: narrowTopology(), faults: FAULTS, story }).catch(
      (err: unknown) => {
        throw new Error(`${story.slice(-40).join('\n')}\n${String(err)}`, { cause: err })
      },
    )
    expect(world.nodes.size).toBe(4)
  })
}
