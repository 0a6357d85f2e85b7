import { expect, test } from 'vitest'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { createLag } from '../../../src/node/lag.ts'
import type { Naming } from '../../../src/topology/flow.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const HOUR_MS = 3_600_000
const NAMED_BY_NOTHING: Naming = { tagsNaming: async function* () {} }
const KEY = { repository: repo('app'), reference: ref('v1') }

/** A record that waits for its bytes since the clock's start, at midnight. */
function lagWith(policy: string) {
  const clock = createFakeClock()
  const digest = digestNamed('image')
  const put = createWriter('a', { clock }).put([], { ...KEY, digest })
  const topology = topologyWith({
    policies: `{ all: { match: { repos: ["**"] }, ${policy}, slo: { lag: 30m } } }`,
  })
  const job = { id: 'job', state: 'waiting', ...KEY, references: ['v1'], digest }
  const lag = createLag({
    topology,
    self: nodeName('b'),
    naming: NAMED_BY_NOTHING,
    ledger: { entry: () => ({ key: KEY, history: [put] }) as never },
    queue: { list: () => [job as unknown as JobView] as never, isOpen: () => true },
    clock,
  })
  return { clock, read: async () => (await lag())[0] }
}

test('lag is the age of the oldest record that is not held', async () => {
  const { clock, read } = lagWith('mode: eager')
  clock.jump(HOUR_MS)
  expect(await read()).toMatchObject({ records: 1, seconds: 3_600, isMet: false })
})

test('what comes in windows is late only once one was open', async () => {
  const { clock, read } = lagWith(
    'mode: scheduled, schedule: { cron: "0 5 * * *", window: 2h, tz: UTC }',
  )
  clock.jump(4 * HOUR_MS)
  expect(await read()).toMatchObject({ records: 1, seconds: 0, isMet: true })
  clock.jump(1.5 * HOUR_MS)
  expect(await read()).toMatchObject({ records: 1, seconds: 1_800, isMet: true })
  clock.jump(12 * HOUR_MS)
  expect(await read()).toMatchObject({ seconds: 12.5 * 3_600, isMet: false })
})
