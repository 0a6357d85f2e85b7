import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createDueKeys } from '../../../src/worker/due-keys.ts'
import type { Applied } from '../../../src/worker/origin-deletes.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { digestNamed, ref, repo } from '../../helpers/writers.ts'
import { APP, openDeletes } from './deletes-rig.ts'

const NOTHING: Applied = { tags: 1, heldUp: 0, isNewlyHeldUp: false, left: 0, entries: 1 }

/** A line over looks whose outcome the test says. */
function setUp(
  applied: (repository: RepositoryName) => Applied | Promise<Applied> = () => NOTHING,
  hasHeardAll = () => true,
) {
  const clock = createFakeClock()
  const events = createEventBus({ logger: silentLogger })
  const looks: string[] = []
  const dueKeys = createDueKeys({
    deletes: {
      heldUp: async () => [],
      of: async (repository) => ({ repository, tags: 0, heldUp: 0, deletes: [] }),
      apply: async (repository) => {
        looks.push(repository)
        return applied(repository)
      },
      confirm: async () => 1,
    },
    events,
    clock,
    nowMs: clock.now,
    hasHeardAll,
    logger: silentLogger,
  })
  dueKeys.start()
  const stop = () => dueKeys[Symbol.asyncDispose]()
  return { clock, events, looks, dueKeys, [Symbol.asyncDispose]: stop }
}

describe('worker / due-keys', () => {
  test('a repository is looked at when its first delete is due, and only then', async () => {
    await using rig = setUp()
    const { clock, looks, dueKeys } = rig
    dueKeys.note(APP, clock.now() + 5_000)
    dueKeys.note(APP, clock.now() + 9_000)
    dueKeys.note(repo('other'), clock.now() + 3_000)
    await clock.advance(2_999)
    expect(looks).toEqual([])
    await clock.advance(1)
    expect(looks).toEqual(['other'])
    await clock.advance(2_000)
    expect(looks).toEqual(['other', 'app'])
    expect(dueKeys.repositories()).toEqual([])
    await clock.advance(100_000)
    expect(looks).toHaveLength(2)
  })

  test('ten thousand keys of a repository are one place and one timer', async () => {
    await using rig = setUp()
    const { clock, looks, dueKeys } = rig
    await settle()
    const before = clock.sleeping()
    for (let at = 0; at < 10_000; at += 1) dueKeys.note(APP, clock.now() + 1_000 + at / 10_000)
    await settle()
    expect(clock.sleeping()).toBe(before)
    expect(dueKeys.repositories()).toEqual(['app'])
    await clock.advance(10_000)
    expect(looks).toEqual(['app'])
  })

  test('what is due one after the other goes together, and a large repository rests longer', async () => {
    await using rig = setUp(() => ({ ...NOTHING, left: 1, entries: 4_500 }))
    const { clock, looks, dueKeys } = rig
    dueKeys.note(APP, clock.now())
    await settle()
    expect(looks).toHaveLength(1)
    for (let at = 0; at < 5; at += 1) {
      dueKeys.note(APP, clock.now())
      await clock.advance(1_000)
    }
    expect(looks).toHaveLength(1)
    await clock.advance(5_000)
    expect(looks).toHaveLength(2)
  })

  test('it is looked at again when the next one is due, and when a tag came', async () => {
    let nextMs: number | undefined
    await using rig = setUp(() => {
      return { ...NOTHING, left: 1, ...(nextMs === undefined ? {} : { nextMs }) }
    })
    const { clock, events, looks, dueKeys } = rig
    nextMs = clock.now() + 60_000
    dueKeys.note(APP, clock.now())
    await clock.advance(59_999)
    expect(looks).toHaveLength(1)
    nextMs = undefined
    await clock.advance(1)
    expect(looks).toHaveLength(2)
    await clock.advance(600_000)
    expect(looks).toHaveLength(2)
    const key = { repository: APP, reference: ref('v9') }
    events.emit({ kind: 'visible-changed', key })
    await clock.advance(10_000)
    expect(looks).toHaveLength(2)
    events.emit({ kind: 'visible-changed', key, digest: digestNamed('new') })
    events.emit({
      kind: 'visible-changed',
      key: { ...key, repository: repo('other') },
      digest: digestNamed('new'),
    })
    await clock.advance(10_000)
    expect(looks).toEqual(['app', 'app', 'app'])
  })

  test('a look that fails is taken again', async () => {
    let isBroken = true
    await using rig = setUp(() => {
      if (isBroken) throw new Error('the index is full')
      return NOTHING
    })
    const { clock, looks, dueKeys } = rig
    dueKeys.note(APP, clock.now())
    await clock.advance(9_000)
    expect(looks).toHaveLength(1)
    isBroken = false
    await clock.advance(2_000)
    expect(looks).toHaveLength(2)
    expect(dueKeys.repositories()).toEqual([])
  })

  test('nothing goes before the sources have told their news, or a minute has passed', async () => {
    for (const [heardAfterMs, lookAfterMs] of [
      [5_000, 5_250],
      [Number.POSITIVE_INFINITY, 60_000],
    ] as const) {
      let isHeard = false
      await using rig = setUp(
        () => NOTHING,
        () => isHeard,
      )
      const { clock, looks, dueKeys } = rig
      dueKeys.note(APP, clock.now())
      await clock.advance(Math.min(heardAfterMs, lookAfterMs - 1))
      expect(looks).toEqual([])
      isHeard = Number.isFinite(heardAfterMs)
      await clock.advance(1_000)
      expect(looks).toEqual([APP])
    }
  })

  test('a clock that was put right is noticed within a minute', async () => {
    await using rig = setUp()
    const { clock, looks, dueKeys } = rig
    dueKeys.note(APP, clock.now() + 3_600_000)
    await settle()
    clock.jump(3_600_000)
    await clock.advance(60_000)
    expect(looks).toHaveLength(1)
  })

  test('that deletes wait for a person is told once, and its word is followed at once', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 0% }' })
    const { clock, dueKeys } = rig
    dueKeys.start()
    for (const tag of ['a', 'b', 'c']) await rig.push(tag)
    for (const tag of ['a', 'b']) await rig.hear(tag)
    dueKeys.note(APP, clock.now())
    await clock.advance(5_000)
    dueKeys.note(APP, clock.now())
    await clock.advance(5_000)
    const told = { kind: 'deletes-held-up', repository: APP, deletes: 2, tags: 3 }
    expect(rig.heldUpEvents()).toEqual([told])
    const [waiting] = dueKeys.heldUp()
    expect(waiting).toMatchObject({ repository: APP, deletes: 2, tags: 3 })
    expect(await rig.tags()).toEqual(['a', 'b', 'c'])

    expect(await dueKeys.confirm(APP)).toBe(2)
    await clock.advance(1)
    expect(await rig.tags()).toEqual(['c'])
    expect(dueKeys.heldUp()).toEqual([])
    await dueKeys[Symbol.asyncDispose]()
  })

  test('a wait for a person is over when another topology deletes nothing there', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 0% }' })
    for (const tag of ['a', 'b', 'c']) await rig.push(tag)
    for (const tag of ['a', 'b']) await rig.hear(tag)
    await rig.apply()
    expect(await rig.rows.heldUp()).toEqual([APP])
    const { backend, clock } = rig
    const deletes = '{ propagate: false }'
    await using other = await openDeletes({ deletes, backend, clock, epoch: 'epoch-2' })
    other.dueKeys.start()
    await clock.advance(1)
    expect(await other.rows.heldUp()).toEqual([])
    expect(await other.tags()).toEqual(['a', 'b', 'c'])
    await other.dueKeys[Symbol.asyncDispose]()
  })

  test('nothing is looked at once the node stops', async () => {
    await using rig = setUp()
    const { clock, looks, dueKeys } = rig
    await dueKeys[Symbol.asyncDispose]()
    dueKeys.note(APP, clock.now())
    await clock.advance(60_000)
    expect(looks).toEqual([])
  })
})
