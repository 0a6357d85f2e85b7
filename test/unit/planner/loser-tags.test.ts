import { describe, expect, test } from 'vitest'
import { createLoserTags } from '../../../src/planner/loser-tags.ts'
import { createPlanner } from '../../../src/planner/planner.ts'
import { conflictOf } from '../../../src/record/losers.ts'
import { timeOfMs } from '../../../src/record/time.ts'
import type { Item } from '../../../src/topology/flow.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { topologyWith } from '../../helpers/topology-texts.ts'
import { digestNamed, identityNamed, recordBy, ref, repo } from '../../helpers/writers.ts'

const [FRA, IAD] = [identityNamed('fra'), identityNamed('iad')]
const RULE = 'tags: register, resolve: hlc-lww'
const TOPOLOGY = topologyWith({
  nodes: `{ fra: { endpoint: "http://fra:1", peerId: ${FRA.peerId} }, iad: { endpoint: "http://iad:1" } }`,
  origins: `[{ repos: ["kept/**"], writers: "*", conflict: { ${RULE}, keep: losers-as-suffixed-tag } }, { repos: ["**"], writers: "*", conflict: { ${RULE} } }]`,
  links: '[{ shape: mesh, members: "*", policies: [all] }]',
})
const KEPT = repo('kept/app')
const KEY = { repository: KEPT, reference: ref('v1') }

const WON = digestNamed('won')
const won = recordBy(FRA, { ...KEY, digest: WON, time: timeOfMs(START_MS + 1) })
const lost = recordBy(IAD, { ...KEY, digest: digestNamed('lost'), time: timeOfMs(START_MS) })

describe('planner / loser-tags', () => {
  const tags = createLoserTags(TOPOLOGY)

  test('losers stay under tags only where the origin says so', () => {
    expect(tags.keeps(KEPT)).toBe(true)
    expect(tags.keeps(repo('other'))).toBe(false)
    expect(tags.of(KEPT, [won, lost])).toHaveLength(1)
    expect(tags.of(repo('other'), [won, lost])).toEqual([])
    expect(tags.of(KEPT, [won])).toEqual([])
  })

  test('a writer is named by its node, or by the end of its key where no node has it', () => {
    expect(tags.of(KEPT, [won, lost])[0]?.tag).toBe(
      `v1--${IAD.peerId.slice(-8)}-20260101T000000.000Z`,
    )
    const early = { ...won, record: { ...won.record, time: timeOfMs(START_MS - 1) } }
    expect(tags.of(KEPT, [lost, early])[0]?.tag).toBe('v1--fra-20251231T235959.999Z')
  })

  const planIn = ({ isWanted = true, held = false } = {}) => {
    const asked: Item[] = []
    const history = [won, lost]
    const planner = createPlanner({
      inventory: {
        entry: (key) => ({
          key,
          number: 1,
          history,
          ...(held ? { held: { digest: WON, coverage: 'all' as const } } : {}),
        }),
        isComplete: () => false,
        platformsOf: () => [],
        askedOf: () => undefined,
      },
      demands: {
        of: async (item) => {
          asked.push(item)
          return isWanted ? { held: 'all', priority: 3, policies: [] } : undefined
        },
      },
      naming: { tagsNaming: async function* () {} },
      loserTags: tags,
      isWriter: () => false,
      deletes: { of: async () => undefined },
    })
    return { plan: planner.plan(KEY), asked }
  }

  test('who must hold the tag must hold its losers, also when the winner is here already', async () => {
    const losers = tags.of(KEPT, [won, lost])
    expect(await planIn().plan).toMatchObject({ kind: 'pull', digest: WON, losers })
    const { plan, asked } = planIn({ held: true })
    expect(await plan).toMatchObject({ kind: 'refusal', reason: 'already-here', losers })
    expect(asked).toEqual([KEY])
    expect(conflictOf([won, lost])?.losers).toEqual([lost])
  })

  test('who does not want the tag does not hold its losers', async () => {
    expect(await planIn({ isWanted: false }).plan).not.toHaveProperty('losers')
    expect(await planIn({ isWanted: false, held: true }).plan).not.toHaveProperty('losers')
  })
})
