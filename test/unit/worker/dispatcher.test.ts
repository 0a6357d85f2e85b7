import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Plan } from '../../../src/planner/planner.ts'
import type { RecordKey } from '../../../src/record/tag-record.ts'
import { createDispatcher } from '../../../src/worker/dispatcher.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { openStorage } from '../../helpers/storage-rig.ts'
import { createWriter, digestNamed, ref, repo } from '../../helpers/writers.ts'

const key = (reference: string): RecordKey => ({
  repository: repo('app'),
  reference: ref(reference),
})

async function setUp(planOf: (key: RecordKey) => Plan | Promise<Plan>) {
  const { ledger, index } = await openStorage()
  const acts: string[] = []
  const planned: string[] = []
  const dispatcher = createDispatcher({
    planner: {
      plan: async (of) => {
        planned.push(of.reference)
        return planOf(of)
      },
    },
    content: {
      show: async ({ reference }) => {
        acts.push(`show ${reference}`)
        return true
      },
      drop: async ({ reference }) => void acts.push(`drop ${reference}`),
      keepLosers: async () => [],
    },
    queue: {
      add: (plan) => void acts.push(`add ${plan.key.reference}`),
      forget: ({ reference }) => void acts.push(`forget ${reference}`),
    },
    asked: { settle: async () => {} },
    dueKeys: { note: () => {} },
    ledger,
    logger: silentLogger,
  })
  return { dispatcher, acts, planned, ledger, index }
}

const nothing = (of: RecordKey): Plan => ({ kind: 'refusal', key: of, reason: 'not-wanted' })

describe('worker / dispatcher', () => {
  test('a key that was given up is looked at when a holder shows up, and no other is for that', async () => {
    const { dispatcher, planned } = await setUp(nothing)
    dispatcher.considerGivenUp(key('a'))
    dispatcher.giveUp(key('b'))
    dispatcher.considerGivenUp(key('b'))
    dispatcher.considerGivenUp(key('b'))
    await dispatcher.idle()
    dispatcher.considerGivenUp(key('b'))
    await dispatcher.idle()
    expect(planned).toEqual(['b'])
  })

  test('does what the plan says, and only a pull keeps the job of the key', async () => {
    const plans: Record<string, (of: RecordKey) => Plan> = {
      pull: (of) => ({ kind: 'pull', key: of, digest: digestNamed('x'), recordId: 'r' }),
      show: (of) => ({ kind: 'show', key: of, digest: digestNamed('x'), platforms: 'all' }),
      drop: (of) => ({ kind: 'drop', key: of }),
      none: nothing,
    }
    const { dispatcher, acts } = await setUp((of) => (plans[of.reference] ?? nothing)(of))
    for (const reference of Object.keys(plans)) dispatcher.consider(key(reference))
    await dispatcher.idle()
    expect(acts).toEqual([
      'add pull',
      'forget show',
      'show show',
      'forget drop',
      'drop drop',
      'forget none',
    ])
  })

  test('a key that waits is asked about once; one that comes while it is asked about, again', async () => {
    const gate = Promise.withResolvers<void>()
    const { dispatcher, planned } = await setUp(async (of) => {
      if (planned.length === 1) await gate.promise
      return nothing(of)
    })
    for (let round = 0; round < 3; round += 1) dispatcher.consider(key('a'))
    dispatcher.consider(key('b'))
    await settle()
    expect(planned).toEqual(['a'])
    // The one that is asked about counts: it is not done.
    expect(dispatcher.waiting()).toBe(2)
    dispatcher.consider(key('a'))
    dispatcher.consider(key('b'))
    gate.resolve()
    await dispatcher.idle()
    expect(planned).toEqual(['a', 'b', 'a'])
    expect(dispatcher.waiting()).toBe(0)
  })

  test('a key that comes in the very turn in which the last one ends is not lost', async () => {
    for (let turns = 0; turns < 20; turns += 1) {
      const { dispatcher, planned } = await setUp(nothing)
      dispatcher.consider(key('a'))
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      dispatcher.consider(key('b'))
      await settle()
      expect(planned, `after ${turns} turns`).toEqual(['a', 'b'])
    }
  })

  test('a key that cannot be planned keeps no other from its turn', async () => {
    const { dispatcher, acts } = await setUp((of) => {
      if (of.reference === 'bad') throw new Error('broken')
      return nothing(of)
    })
    for (const reference of ['bad', 'good']) dispatcher.consider(key(reference))
    await dispatcher.idle()
    expect(acts).toEqual(['forget good'])
  })

  test('a scan asks about every key of the ledger, also those that come while it runs', async () => {
    const parts = await setUp(async (of) => {
      if (parts.planned.length === 300) await know('late')
      return nothing(of)
    })
    const hub = createWriter('hub')
    const know = (reference: string) =>
      parts.index.transact((tx) => {
        const put = hub.put([], { ...key(reference), digest: digestNamed('x') })
        parts.ledger.add(tx, put)
      })
    const references = Array.from({ length: 600 }, (_, at) => `v${at}`)
    await Promise.all(references.map(know))
    await parts.dispatcher.considerAll()
    await parts.dispatcher.idle()
    expect(new Set(parts.planned)).toEqual(new Set([...references, 'late']))
  })

  test('a scan forgets the jobs of keys that are settled without asking, and asks about those held by halves or not newest', async () => {
    const { dispatcher, acts, planned, ledger, index } = await setUp(nothing)
    const hub = createWriter('hub')
    const [newest, older] = [digestNamed('newest'), digestNamed('older')]
    await index.transact((tx) => {
      for (const reference of ['settled', 'partly', 'behind', 'missing']) {
        ledger.add(tx, hub.put([], { ...key(reference), digest: newest }))
      }
      ledger.hold(tx, key('settled'), { digest: newest, coverage: 'all' })
      ledger.hold(tx, key('partly'), { digest: newest, coverage: ['linux/amd64'] })
      ledger.hold(tx, key('behind'), { digest: older, coverage: 'all' })
    })
    await dispatcher.considerAll()
    await dispatcher.idle()
    expect(planned.toSorted()).toEqual(['behind', 'missing', 'partly'])
    expect(acts).toContain('forget settled')
  })

  test('once closed it asks about nothing more', async () => {
    const { dispatcher, planned } = await setUp(nothing)
    dispatcher.consider(key('a'))
    dispatcher.consider(key('b'))
    await dispatcher[Symbol.asyncDispose]()
    const before = planned.length
    dispatcher.consider(key('c'))
    await dispatcher.considerAll()
    await settle()
    expect(planned).toHaveLength(before)
  })
})
