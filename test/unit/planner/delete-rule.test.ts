import { expect, test } from 'vitest'
import { createDeleteRules } from '../../../src/planner/delete-rule.ts'
import type { History } from '../../../src/record/history.ts'
import type { RecordKey } from '../../../src/record/tag-record.ts'
import { demandsOf } from '../../../src/topology/demand.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const KEY: RecordKey = { repository: repo('app'), reference: ref('v1') }
const HOUR = 3_600_000
const hub = createWriter('a')

function deletionOf(
  policies: Readonly<Record<string, string>>,
  { key = KEY, history = deleted(key) }: { key?: RecordKey; history?: History } = {},
) {
  const text = Object.entries(policies).map(
    ([name, rest]) => `${name}: { match: { repos: ["**"] }, mode: eager, ${rest} }`,
  )
  const names = Object.keys(policies).join(', ')
  const topology = topologyWith({
    policies: `{ ${text.join(', ')} }`,
    links: `[{ shape: star, center: a, leaves: b, policies: [${names}] }]`,
  })
  const rules = createDeleteRules({
    demands: demandsOf(topology, nodeName('b')),
    naming: { tagsNaming: async function* () {} },
  })
  return rules.of(key, history)
}

function deleted(key: RecordKey): History {
  return [hub.delete([hub.put([], { ...key, digest: digestNamed('image') })], key)]
}

test('a delete is applied so long after it was written as the policy says', async () => {
  const deletion = await deletionOf({ all: 'deletes: { propagate: true, grace: 1h }' })
  expect(deletion).toEqual({ dueAtMs: START_MS + HOUR, keepLast: 0 })
})

test('without a policy that says so it is not applied', async () => {
  expect(await deletionOf({ all: 'deletes: { propagate: false }' })).toBeUndefined()
  expect(await deletionOf({ all: 'priority: 1' })).toBeUndefined()
})

test('of several policies the shortest grace holds, and every safeguard', async () => {
  const deletion = await deletionOf({
    one: 'deletes: { propagate: true, grace: 3h, keepLast: 2, guard: 50% }',
    other: 'deletes: { propagate: true, grace: 2h, keepLast: 5, guard: 20% }',
    none: 'deletes: { propagate: false }',
  })
  expect(deletion).toEqual({ dueAtMs: START_MS + 2 * HOUR, keepLast: 5, guard: 0.2 })
})

test('a policy that does not let the tag through has no say', async () => {
  const narrow = 'deletes: { propagate: true, grace: 1h }, untagged: false'
  const topology = topologyWith({
    policies: `{ v2: { match: { repos: ["**"], tags: { include: [v2] } }, mode: eager, ${narrow} }, all: { match: { repos: ["**"] }, mode: eager } }`,
    links: '[{ shape: star, center: a, leaves: b, policies: [v2, all] }]',
  })
  const rules = createDeleteRules({
    demands: demandsOf(topology, nodeName('b')),
    naming: { tagsNaming: async function* () {} },
  })
  const v2 = { ...KEY, reference: ref('v2') }
  expect(await rules.of(KEY, deleted(KEY))).toBeUndefined()
  expect(await rules.of(v2, deleted(v2))).toMatchObject({ dueAtMs: START_MS + HOUR })
})

test('of two deletes that did not know of each other the later one counts', async () => {
  const put = hub.put([], { ...KEY, digest: digestNamed('image') })
  const other = createWriter('b')
  const [one, two] = [hub.delete([put], KEY), other.delete([put], KEY)]
  const later = other.delete([two], KEY)
  const history = [later, one].toSorted((a, b) => b.record.time - a.record.time)
  const dueAtMs = (await deletionOf({ all: 'deletes: { propagate: true }' }, { history }))?.dueAtMs
  expect(dueAtMs).toBe(START_MS)
})
