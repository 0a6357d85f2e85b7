import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Tag } from '../../../src/oci/name.ts'
import { visibleOf } from '../../../src/record/history.ts'
import type { LoserTag } from '../../../src/record/losers.ts'
import { keyText, type RecordKey } from '../../../src/record/tag-record.ts'
import { createDispatcher } from '../../../src/worker/dispatcher.ts'
import { openStorage } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const KEY: RecordKey = { repository: repo('app'), reference: ref('v1') }
const loser = (name: string): LoserTag => ({
  tag: `v1--${name}` as Tag,
  digest: digestNamed(name),
  recordId: `record of ${name}`,
})
const keyOf = ({ tag }: LoserTag): RecordKey => ({ ...KEY, reference: tag })

/** `world` says what lost the tag, and which of it is here; the test changes it. */
async function setUp(world: { losers: readonly LoserTag[]; here: readonly LoserTag[] }) {
  const { ledger, index } = await openStorage()
  const acts: string[] = []
  const dispatcher = createDispatcher({
    planner: {
      plan: async (key) => {
        acts.push(`plan ${key.reference}`)
        const { losers } = world
        const reason = key.reference === 'v1' ? 'already-here' : 'unknown'
        const isTag = key.reference === 'v1' && losers.length > 0
        return {
          kind: 'refusal',
          key,
          reason,
          ...(isTag ? { losers, loserFetch: { platforms: 'all' } } : {}),
        }
      },
    },
    content: {
      show: async () => true,
      drop: async () => {},
      keepLosers: async (_, losers) => losers.filter((one) => !world.here.includes(one)),
    },
    queue: {
      add: ({ key, digest, recordId }) =>
        void acts.push(
          `add ${key.reference} ${digest === digestNamed(key.reference.slice(4))} ${recordId}`,
        ),
      forget: ({ reference }) => void acts.push(`forget ${reference}`),
    },
    asked: { settle: async () => {} },
    dueKeys: { note: () => {} },
    ledger,
    logger: silentLogger,
  })
  const consider = async (key: RecordKey) => {
    acts.splice(0)
    dispatcher.consider(key)
    await dispatcher.idle()
    return [...acts]
  }
  return { dispatcher, consider, ledger, index, acts }
}

describe('worker / loser-jobs', () => {
  const [a, b] = [loser('a'), loser('b')]

  test('losers that are not here get a job each, under their own tags', async () => {
    const { dispatcher, consider } = await setUp({ losers: [a, b], here: [b] })
    expect(await consider(KEY)).toEqual(['plan v1', 'forget v1', 'add v1--a true record of a'])
    expect(dispatcher.isAsked(keyOf(a))).toBe(true)
    expect(dispatcher.isAsked(keyOf(b))).toBe(false)
    expect(dispatcher.isAsked(KEY)).toBe(false)
  })

  test('when such a job ends, the tag that asked for it is looked at again', async () => {
    const world = { losers: [a], here: [] as LoserTag[] }
    const { dispatcher, consider } = await setUp(world)
    await consider(KEY)
    // It failed: it stays asked for, and its job is not forgotten.
    expect(await consider(keyOf(a))).toEqual(['plan v1', 'forget v1', 'add v1--a true record of a'])
    world.here = [a]
    expect((await consider(keyOf(a))).slice(0, 3)).toEqual(['plan v1', 'forget v1', 'forget v1--a'])
    expect(dispatcher.isAsked(keyOf(a))).toBe(false)
  })

  test('with the conflict the jobs of its losers end, and only those', async () => {
    const world = { losers: [a, b] as LoserTag[], here: [] as LoserTag[] }
    const { consider } = await setUp(world)
    await consider(KEY)
    world.losers = [b]
    expect(await consider(KEY)).toEqual([
      'plan v1',
      'forget v1',
      'forget v1--a',
      'add v1--b true record of b',
    ])
    world.losers = []
    expect(await consider(KEY)).toEqual(['plan v1', 'forget v1', 'forget v1--b'])
    expect(await consider(KEY)).toEqual(['plan v1', 'forget v1'])
    expect(keyText(keyOf(a))).not.toBe(keyText(keyOf(b)))
  })

  test('a scan looks at a tag that was fought over, also when its winner is here', async () => {
    const { dispatcher, ledger, index, acts } = await setUp({ losers: [a], here: [] })
    const [won, lost] = ['won', 'lost'].map((name) =>
      createWriter(name).put([], { ...KEY, digest: digestNamed(name) }),
    )
    if (won === undefined || lost === undefined) throw new Error('two records')
    await index.transact((tx) => {
      for (const one of [won, lost]) ledger.add(tx, one)
    })
    const shown = visibleOf(ledger.entry(KEY)?.history ?? [])?.record.digest
    await index.transact((tx) =>
      ledger.hold(tx, KEY, { digest: shown ?? a.digest, coverage: 'all' }),
    )
    await dispatcher.considerAll()
    await dispatcher.idle()
    expect(acts).toContain('add v1--a true record of a')
  })
})
