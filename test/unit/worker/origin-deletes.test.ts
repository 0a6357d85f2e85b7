import { describe, expect, test } from 'vitest'
import { GUARD_MS } from '../../../src/planner/delete-states.ts'
import { manifestUse } from '../../../src/storage/manifest-use.ts'
import { createOriginDeletes } from '../../../src/worker/origin-deletes.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { makeImage } from '../../helpers/images.ts'
import { ref } from '../../helpers/writers.ts'
import { APP, NEVER, openDeletes } from './deletes-rig.ts'

describe('worker / origin-deletes', () => {
  test('a delete is applied when its grace is over, not before', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, grace: 1h }' })
    for (const tag of ['v1', 'v2']) await rig.push(tag)
    await rig.hear('v1')
    const dueAtMs = rig.clock.now() + 3_600_000
    expect(await rig.apply()).toMatchObject({ tags: 2, left: 1, nextMs: dueAtMs })
    expect(await rig.tags()).toEqual(['v1', 'v2'])
    rig.clock.jump(3_600_000 - 1)
    await rig.apply()
    expect(await rig.tags()).toEqual(['v1', 'v2'])
    rig.clock.jump(1)
    expect(await rig.apply()).toMatchObject({ tags: 2, left: 0 })
    expect(await rig.tags()).toEqual(['v2'])
  })

  test('a newer push in the grace keeps the tag', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, grace: 1h }' })
    await rig.push('v1')
    await rig.hear('v1')
    await rig.push('v1', makeImage('again', { layers: 1 }))
    rig.clock.jump(7_200_000)
    expect(await rig.apply()).toMatchObject({ left: 0 })
    expect(await rig.tags()).toEqual(['v1'])
  })

  test('where no policy propagates nothing goes, and nothing waits', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: false }' })
    await rig.push('v1')
    await rig.hear('v1')
    rig.clock.jump(GUARD_MS)
    expect(await rig.apply()).toMatchObject({ tags: 1, left: 0 })
    expect(await rig.tags()).toEqual(['v1'])
  })

  test('the newest tags stay, and go when newer ones have come', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, keepLast: 2 }' })
    for (const tag of ['a', 'b', 'c']) {
      await rig.push(tag)
      rig.clock.jump(1_000)
    }
    for (const tag of ['c', 'b', 'a']) await rig.hear(tag)
    expect(await rig.apply()).toMatchObject({ left: 2 })
    expect(await rig.tags()).toEqual(['b', 'c'])
    expect(await rig.statesOf()).toEqual({ b: 'kept-last', c: 'kept-last' })
    await rig.push('d')
    await rig.apply()
    expect(await rig.tags()).toEqual(['c', 'd'])
  })

  test('of a delete in its grace it is said that it would stay after it, as things are', async () => {
    const rig = await openDeletes({
      deletes: '{ propagate: true, grace: 1h, keepLast: 1, guard: 30% }',
    })
    for (const tag of ['a', 'b', 'c', 'd']) {
      await rig.push(tag)
      rig.clock.jump(1_000)
    }
    const fates = async () =>
      (await rig.origin.of(APP)).deletes.map(({ reference, state, afterGrace }) => [
        reference,
        state,
        afterGrace,
      ])
    await rig.hear('a')
    expect(await fates()).toEqual([['a', 'in-grace', undefined]])
    for (const tag of ['b', 'd']) await rig.hear(tag)
    expect(await fates()).toEqual([
      ['a', 'in-grace', 'held-up'],
      ['b', 'in-grace', 'held-up'],
      ['d', 'in-grace', 'kept-last'],
    ])
  })

  test('a tag that was pushed anew is as new as its last push, also once that was deleted', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, keepLast: 1 }' })
    for (const tag of ['a', 'b']) {
      await rig.push(tag)
      rig.clock.jump(1_000)
    }
    await rig.push('a', makeImage('newer', { layers: 1 }))
    for (const tag of ['a', 'b']) await rig.hear(tag)
    await rig.apply()
    expect(await rig.tags()).toEqual(['a'])
  })

  test('signatures are none of the last tags and count for no guard: they stay with their image', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, keepLast: 1, guard: 0% }' })
    const image = await rig.push('v1')
    rig.clock.jump(1_000)
    const signature = `${image.digest.replace(':', '-')}.sig`
    await rig.push(signature)
    await rig.hear('v1')
    await rig.hear(signature)
    await rig.apply()
    expect(await rig.statesOf()).toEqual({ v1: 'kept-last', [signature]: 'with-image' })
    expect(await rig.rows.of(APP)).toMatchObject({ taken: new Map() })
    await rig.push('v2')
    await rig.apply()
    expect(await rig.tags()).toEqual(['v2'])
  })

  test('a delete by digest hides nothing that a tag or an index shows here', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, grace: 1h }', untagged: true })
    const image = makeImage('twice', { layers: 1 })
    await rig.push(image.digest, image)
    await rig.hear(image.digest)
    rig.clock.jump(1_800_000)
    await rig.push('v1', image)
    rig.clock.jump(1_800_000)
    await rig.apply()
    expect(rig.has(image.digest)).toBe(true)
    await rig.hear('v1')
    rig.clock.jump(3_600_000)
    await rig.apply()
    expect(await rig.tags()).toEqual([])
  })

  test('a manifest goes with its tag where both were deleted', async () => {
    const rig = await openDeletes({ untagged: true })
    const image = makeImage('both', { layers: 1 })
    await rig.push(image.digest, image)
    await rig.push('v1', image)
    await rig.hear('v1')
    await rig.hear(image.digest)
    await rig.apply()
    expect(await rig.tags()).toEqual([])
    expect(rig.has(image.digest)).toBe(false)
  })

  test('an image that was pushed by digest too has no reason left here, unless a policy asks for it by itself', async () => {
    for (const [untagged, kind] of [
      [false, 'unused'],
      [true, 'used'],
    ] as const) {
      const rig = await openDeletes({ untagged })
      const image = makeImage('twice', { layers: 1 })
      await rig.push(image.digest, image)
      await rig.push('v1', image)
      const use = () => manifestUse(rig.index, APP, image.digest, { isWanted: untagged })
      expect(use().kind).toBe('used')
      await rig.hear('v1')
      await rig.apply()
      expect(use().kind).toBe(kind)
    }
  })

  test('too many deletes wait for a person, who lets those through that are known by then', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 20% }' })
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await rig.push(tag)
    for (const tag of ['a', 'b']) await rig.hear(tag)
    expect(await rig.apply()).toMatchObject({ heldUp: 2, isNewlyHeldUp: true, left: 2 })
    expect(await rig.apply()).toMatchObject({ heldUp: 2, isNewlyHeldUp: false })
    // Also when a day has passed, and when there are many more tags.
    rig.clock.jump(2 * GUARD_MS)
    for (let at = 0; at < 10; at += 1) await rig.push(`more-${at}`)
    expect(await rig.apply()).toMatchObject({ heldUp: 2 })
    expect(await rig.origin.of(APP)).toMatchObject({ tags: 15, heldUpSinceMs: expect.any(Number) })

    expect(await rig.origin.confirm(APP)).toBe(2)
    await rig.hear('c')
    await rig.hear('d')
    await rig.hear('e')
    await rig.hear('more-0')
    expect(await rig.apply()).toMatchObject({ heldUp: 4, isNewlyHeldUp: true })
    expect(await rig.tags()).toEqual([
      'c',
      'd',
      'e',
      ...Array.from({ length: 10 }, (_, at) => `more-${at}`),
    ])
    // What was let through counts no more.
    expect(await rig.rows.of(APP)).toMatchObject({ confirmed: new Map(), taken: new Map() })
  })

  test('a wait ends by itself when what was deleted was pushed anew', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 20% }' })
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await rig.push(tag)
    for (const tag of ['a', 'b']) await rig.hear(tag)
    await rig.apply()
    await rig.push('a', makeImage('a again', { layers: 1 }))
    await rig.push('b', makeImage('b again', { layers: 1 }))
    expect(await rig.apply()).toMatchObject({ heldUp: 0, left: 0 })
    expect(await rig.rows.of(APP)).not.toHaveProperty('heldUpSinceMs')
  })

  test('what went within the day counts, also after a restart, and no longer than that', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 20% }' })
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await rig.push(tag)
    await rig.hear('a')
    expect(await rig.apply()).toMatchObject({ heldUp: 0, left: 0 })
    const { backend, clock } = rig
    const deletes = '{ propagate: true, guard: 20% }'
    const again = await openDeletes({ deletes, backend, clock, epoch: 'epoch-2' })
    await again.hear('b')
    expect(await again.apply()).toMatchObject({ heldUp: 1 })
    await again.push('b', makeImage('b again', { layers: 1 }))
    await again.apply()
    clock.jump(GUARD_MS + 1)
    await again.hear('c')
    expect(await again.apply()).toMatchObject({ heldUp: 0, left: 0 })
    expect([...(await again.rows.of(APP)).taken.keys()]).toEqual(['c'])
    clock.jump(GUARD_MS + 1)
    await again.apply()
    expect((await again.rows.of(APP)).taken.size).toBe(0)
  })

  test('a digest that takes many tags with it does not get past the guard', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 20% }', untagged: true })
    const image = makeImage('shared', { layers: 1 })
    const tags = ['a', 'b', 'c', 'd', 'e']
    await rig.push(image.digest, image)
    for (const tag of tags) await rig.push(tag, image)
    await rig.push('f')
    // As its writer says it: every tag of it, then the digest.
    for (const reference of [...tags, image.digest]) await rig.hear(reference)
    expect(await rig.apply()).toMatchObject({ heldUp: 5, isNewlyHeldUp: true })
    expect(await rig.tags()).toEqual([...tags, 'f'])
    expect(rig.has(image.digest)).toBe(true)
    await rig.origin.confirm(APP)
    await rig.apply()
    expect(await rig.tags()).toEqual(['f'])
    expect(rig.has(image.digest)).toBe(false)
  })

  test('signatures stay with an image that waits for a person, and go with it', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 0% }', untagged: true })
    const images = [await rig.push('v1'), await rig.push('v2')]
    await rig.push('v3')
    const [subject] = images
    const referrer = makeImage('referrer', { layers: 1, ...(subject && { subject }) })
    const fallback = `${subject?.digest.replace(':', '-')}.sig`
    await rig.push(referrer.digest, referrer)
    await rig.push(fallback)
    for (const reference of ['v1', 'v2', referrer.digest, fallback]) await rig.hear(reference)
    expect(await rig.apply()).toMatchObject({ heldUp: 2, left: 4 })
    expect(await rig.statesOf()).toMatchObject({ v1: 'held-up', [fallback]: 'with-image' })
    expect(rig.has(referrer.digest)).toBe(true)
    expect(await rig.tags()).toEqual([fallback, 'v1', 'v2', 'v3'])
    expect(await rig.origin.confirm(APP)).toBe(2)
    expect(await rig.apply()).toMatchObject({ heldUp: 0, left: 0 })
    expect(rig.has(referrer.digest)).toBe(false)
    expect(await rig.tags()).toEqual(['v3'])
  })

  test('two hundred thousand deletes of one repository are looked at as two are', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, grace: 1h, guard: 20% }' })
    await rig.push('v1')
    await rig.hear('v1')
    const [one] = await rig.ledger.entriesOf(APP, { after: '', limit: 1 })
    if (one === undefined) throw new Error('v1 is not there')
    const many = Array.from({ length: 200_000 }, (_, at) => ({
      ...one,
      key: { ...one.key, reference: ref(`v${String(at).padStart(6, '0')}`) },
    }))
    const entriesOf: typeof rig.ledger.entriesOf = async (_, { after, limit }) => {
      const from = after === '' ? 0 : Number(after.slice(1)) + 1
      return many.slice(from, from + limit)
    }
    const { content, rows, rules } = rig
    const origin = createOriginDeletes({
      ledger: { entriesOf },
      content,
      rules,
      rows,
      nowMs: rig.clock.now,
    })
    const dueAtMs = rig.clock.now() + 3_600_000
    expect(await origin.apply(APP, { signal: NEVER })).toMatchObject({
      left: 200_000,
      nextMs: dueAtMs,
    })
  }, 60_000)

  test('a tag that was pushed and deleted again while others went has its own grace', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, grace: 1h }' })
    await rig.push('v1')
    await rig.hear('v1')
    rig.clock.jump(3_600_000)
    const { ledger, rules, rows, content } = rig
    const origin = createOriginDeletes({
      ledger,
      rules,
      rows,
      nowMs: rig.clock.now,
      content: {
        isComplete: content.isComplete,
        drop: async (...what) => {
          await rig.push('v1', makeImage('again', { layers: 1 }))
          await rig.hear('v1')
          await content.drop(...what)
        },
      },
    })
    await origin.apply(APP, { signal: NEVER })
    expect(await rig.tags()).toEqual(['v1'])
    expect(await rig.statesOf()).toEqual({ v1: 'in-grace' })
  })

  test('a word that comes in the middle of a look holds up nothing that comes later', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 40% }' })
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await rig.push(tag)
    for (const tag of ['a', 'b', 'c']) await rig.hear(tag)
    const { ledger, rules, rows, content } = rig
    let confirming: Promise<number> | undefined
    const origin = createOriginDeletes({
      ledger,
      rules,
      content,
      nowMs: rig.clock.now,
      rows: {
        ...rows,
        holdUp: async (...what) => {
          confirming = origin.confirm(APP)
          // All that it can do meanwhile.
          await settle()
          return rows.holdUp(...what)
        },
      },
    })
    await origin.apply(APP, { signal: NEVER })
    expect(await confirming).toBe(3)
    await rig.hear('d')
    expect(await origin.apply(APP, { signal: NEVER })).toMatchObject({ heldUp: 0 })
    expect(await rig.tags()).toEqual(['e'])
  })

  test('a confirmation is of the delete that was known: a later one of the same tag waits', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, grace: 1h, guard: 0% }' })
    for (const tag of ['a', 'b', 'c']) await rig.push(tag)
    for (const tag of ['a', 'b']) await rig.hear(tag)
    expect(await rig.origin.confirm(APP)).toBe(2)
    for (const tag of ['a', 'b']) await rig.push(tag, makeImage(`${tag} again`, { layers: 1 }))
    for (const tag of ['a', 'b']) await rig.hear(tag)
    rig.clock.jump(3_600_000)
    expect(await rig.apply()).toMatchObject({ heldUp: 2 })
    expect(await rig.tags()).toEqual(['a', 'b', 'c'])
  })

  test('nothing is confirmed where nothing waits', async () => {
    const rig = await openDeletes({ deletes: '{ propagate: true, guard: 0% }' })
    await rig.push('a')
    expect(await rig.origin.confirm(APP)).toBe(0)
  })
})
