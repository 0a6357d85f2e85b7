import { describe, expect, test } from 'vitest'
import { viewBehind, viewRecords } from '../../../src/admin/records-view.ts'
import { recordsText } from '../../../src/cli/records-text.ts'
import { createHolders } from '../../../src/peers/holders.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import type { Entry } from '../../../src/storage/ledger.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { nodeName, topologyWith } from '../../helpers/topology-texts.ts'
import {
  createWriter,
  digestNamed,
  identityNamed,
  recordBy,
  ref,
  repo,
} from '../../helpers/writers.ts'

const [FRA, IAD] = [identityNamed('fra'), identityNamed('iad')]
const TOPOLOGY = topologyWith({
  nodes: `{ fra: { endpoint: "http://fra:1", peerId: ${FRA.peerId} }, iad: { endpoint: "http://iad:1", peerId: ${IAD.peerId} } }`,
  origins:
    '[{ repos: ["**"], writers: "*", conflict: { tags: register, resolve: hlc-lww, keep: losers-as-suffixed-tag } }]',
  links: '[{ shape: mesh, members: "*", policies: [all] }]',
})
const KEY = { repository: repo('app'), reference: ref('v1') }
const [WON, LOST] = [digestNamed('won'), digestNamed('lost')]
const won = recordBy(IAD, { ...KEY, digest: WON, time: timeOfMs(START_MS + 5) })
const lost = recordBy(FRA, {
  ...KEY,
  digest: LOST,
  time: timeOfMs(START_MS),
  seen: new Map([[FRA.peerId, timeOfMs(START_MS - 1)]]),
})
const TAG = 'v1--fra-20260101T000000.000Z'

const holders = createHolders()
const deps = {
  topology: TOPOLOGY,
  planner: {
    plan: async () => ({ kind: 'show', key: KEY, digest: WON, platforms: 'all' }) as const,
  },
  insight: { holders },
}
const entryWith = (more: Partial<Entry> = {}): Entry => ({
  key: KEY,
  number: 1,
  history: [won, lost],
  ...more,
})
const neighbour = (name: string, isSource: boolean) =>
  ({ name, isSource, state: 'up', sinceMs: 0 }) as const

describe('admin / records-view', () => {
  test('the history says who won and who lost, what each had seen, and under which tag a loser is', async () => {
    const kept = { held: { digest: WON, coverage: 'all' as const }, kept: [LOST] }
    const { known } = await viewRecords(entryWith(kept), deps)
    expect(known).toMatchObject([
      { role: 'winner', writer: 'iad', digest: WON, isServed: true, seen: {} },
      {
        role: 'loser',
        writer: 'fra',
        digest: LOST,
        isServed: true,
        tag: TAG,
        seen: { fra: '2025-12-31T23:59:59.999Z' },
      },
    ])
    expect(known[0]).not.toHaveProperty('tag')
    const without = await viewRecords(entryWith(), deps)
    expect(without.known.map(({ isServed }) => isServed)).toEqual([false, false])
  })

  test('a lone put is what is visible; what a kept record has seen is replaced; a delete is one', async () => {
    const alone = await viewRecords(entryWith({ history: [won] }), deps)
    expect(alone.known[0]?.role).toBe('visible')
    const gone = createWriter('nrt').delete([lost], KEY)
    const { known } = await viewRecords(entryWith({ history: [won, gone, lost] }), deps)
    expect(known.map(({ role }) => role)).toEqual(['visible', 'delete', 'replaced'])
    expect(known[1]).not.toHaveProperty('digest')
  })

  test('a neighbour is behind when it did not say that it holds what is visible', () => {
    holders.note(nodeName('fra'), KEY.repository, LOST)
    holders.note(nodeName('iad'), KEY.repository, WON)
    holders.note(nodeName('iad'), KEY.repository, LOST)
    const told = viewBehind(entryWith(), deps, [
      neighbour('fra', true),
      neighbour('iad', true),
      neighbour('edge', false),
    ])
    expect(told).toEqual([
      { node: 'fra', state: 'up', holds: [LOST], isBehind: true },
      { node: 'iad', state: 'up', holds: [WON, LOST], isBehind: false },
      { node: 'edge', state: 'up', holds: [] },
    ])
  })

  test('as text it says the same to a person', async () => {
    const entry = entryWith({ kept: [LOST] })
    const neighbours = viewBehind(entry, deps, [neighbour('fra', true), neighbour('edge', false)])
    const text = recordsText({
      ...(await viewRecords(entry, deps)),
      ...(neighbours && { neighbours }),
    })
    expect(text).toMatch(/winner +by iad .*had seen nothing/)
    expect(text).toMatch(new RegExp(`loser +by fra .*as ${TAG} .*had seen fra 2025-12-31`))
    expect(text).toMatch(/fra +up +behind/)
    expect(text).toMatch(/edge +up +sends nothing here/)
    const missing = recordsText(await viewRecords(entryWith(), deps))
    expect(missing).toContain(`as ${TAG} (not here yet)`)
  })
})
