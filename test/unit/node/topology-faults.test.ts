/** Changes of the topology that meet an attacker, a full disk, or the end of the process. */
import { expect, test } from 'vitest'
import type { TopologyChanges } from '../../../src/node/topology-changes.ts'
import { openTopologyFiles } from '../../../src/node/topology-files.ts'
import { chooseTopology } from '../../../src/node/topology-start.ts'
import { generateIdentity } from '../../../src/record/identity.ts'
import { HEIR, runningOf, sealOf, setUp, textOf } from './changes-rig.ts'

/** Resolves when what came before is done with. */
const inTurn = (changes: TopologyChanges) => changes.takeFiles([], 'nobody')

test('a process that ends at any step comes up with the file of before until the new one is kept, and with the new one from then on', async () => {
  const { directory, changes, state } = await setUp()
  await using _ = directory
  const startsWith = async () => {
    const files = await openTopologyFiles(directory.path)
    return chooseTopology(runningOf(textOf(1)), files).running.topology.generation
  }
  const steps: number[] = [await startsWith()]
  const look = async () => void steps.push(await startsWith())
  state.beforeOffer = look
  state.beforeRun = look
  await changes.apply(sealOf(textOf(2)))
  await look()
  expect(steps).toEqual([1, 2, 2, 2])
})

test('until the new one runs the former one is shown as what runs, and no file below the new one is asked for', async () => {
  const { directory, changes, state } = await setUp()
  await using _ = directory
  const seen: unknown[] = []
  state.beforeRun = async () => {
    const { topology, text } = changes.running()
    seen.push(topology.generation, text === textOf(1), changes.above())
  }
  await changes.apply(sealOf(textOf(2)))
  expect(seen).toEqual([1, true, 2])
  expect(changes.running().text).toBe(textOf(2))
})

test('a file that the disk has no room for is refused at once, and is not offered', async () => {
  const { directory, files, changes, state, steps, clock } = await setUp()
  await using _ = directory
  state.isDiskFull = true
  expect(await changes.apply(sealOf(textOf(2)))).toEqual({
    kind: 'refused',
    code: 'NOT_RUN',
    reason: 'not kept: ENOSPC: no space left on device',
  })
  expect(steps).toEqual([])
  expect(files.list()).toEqual([])
  // Whoever gave it was told: it does not come up by itself later.
  state.isDiskFull = false
  await clock.advance(600_000)
  expect(changes.running().topology.generation).toBe(1)
})

test('what a neighbour gave and could not be kept or run is said why, and tried again without being given', async () => {
  const { directory, changes, state, steps, clock } = await setUp()
  await using _ = directory
  state.isDiskFull = true
  await changes.takeFiles([sealOf(textOf(2))], 'lon')
  expect(changes.rejected()).toMatchObject({
    generation: 2,
    from: 'lon',
    reason: expect.stringContaining('ENOSPC'),
  })
  state.isDiskFull = false
  state.fails = true
  await clock.advance(600_000)
  await inTurn(changes)
  expect(changes.rejected()).toMatchObject({ reason: expect.stringContaining('no port') })
  state.fails = false
  await clock.advance(600_000)
  await inTurn(changes)
  expect(changes.running().topology.generation).toBe(2)
  expect(changes.rejected()).toBeUndefined()
  expect(steps.filter((step) => step === 'replace 2')).toHaveLength(2)
})

test('of a chain of owners that cannot be kept nothing runs', async () => {
  const { directory, changes, state } = await setUp()
  await using _ = directory
  state.isDiskFull = true
  const chain = [sealOf(textOf(2, { owner: HEIR })), sealOf(textOf(3, { owner: HEIR }), HEIR)]
  await changes.takeFiles(chain, 'lon')
  expect(changes.running().topology.generation).toBe(1)
  expect(changes.rejected()).toMatchObject({ reason: expect.stringContaining('ENOSPC') })
})

test('a node that is stopped while it takes a file up keeps it for its next start', async () => {
  const { directory, files, changes, state, told } = await setUp()
  await using _ = directory
  state.isStopping = true
  expect(await changes.apply(sealOf(textOf(2)))).toMatchObject({ kind: 'refused', code: 'NOT_RUN' })
  expect(files.list().at(-1)?.generation).toBe(2)
  expect(told).toEqual([])
})

test('files that nobody with the key signed are told of once for each who gives them, and hide no reason of another', async () => {
  const { directory, changes, state, told } = await setUp()
  await using _ = directory
  state.unfit = 'this node has no disk'
  await changes.apply(sealOf(textOf(2)))
  for (let generation = 3; generation < 30; generation += 1) {
    const forged = sealOf(textOf(generation), generateIdentity())
    await changes.takeFiles([forged], 'lon')
    await changes.apply(forged)
  }
  expect(told.map((event) => 'from' in event && event.from)).toEqual(['apply', 'lon', 'apply'])
  expect(changes.rejected()).toMatchObject({ generation: 2, reason: 'this node has no disk' })
})

test('of two files of one generation at once the first runs, and an older one that comes again is refused', async () => {
  const { directory, changes, steps } = await setUp()
  await using _ = directory
  const both = await Promise.all([
    changes.apply(sealOf(textOf(3))),
    changes.apply(sealOf(textOf(3, { leaves: 'lon' }))),
    changes.reload(textOf(3, { leaves: 'par' })),
  ])
  expect(both).toMatchObject([
    { kind: 'adopted', generation: 3 },
    { kind: 'refused', code: 'GENERATION_OLD' },
    { kind: 'refused', code: 'GENERATION_OLD' },
  ])
  expect(await changes.apply(sealOf(textOf(2)))).toMatchObject({ code: 'GENERATION_OLD' })
  expect(steps).toEqual(['offer', 'replace 3'])
})
