import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Tag } from '../../../src/oci/name.ts'
import {
  deleteStates,
  GUARD_MS,
  type ShownRepository,
  type ShownTag,
} from '../../../src/planner/delete-states.ts'
import { digestNamed, ref } from '../../helpers/writers.ts'

const NOW = 100 * GUARD_MS
const HOUR = 3_600_000

interface Made {
  /** Hours since it was pushed. */
  readonly age?: number
  /** Hours since it was due; undefined: it is not deleted. */
  readonly due?: number | undefined
  readonly keepLast?: number
  readonly guard?: number
  readonly isConfirmed?: boolean
}

function made(name: string, { age = 0, due, keepLast = 0, guard, ...rest }: Made): ShownTag {
  const tag = { tag: name as Tag, pushedAtMs: NOW - age * HOUR, digest: digestNamed(name) }
  if (due === undefined) return tag
  const { isConfirmed = false } = rest
  const dueAtMs = NOW - due * HOUR
  const deletion = { dueAtMs, keepLast, isConfirmed, ...(guard === undefined ? {} : { guard }) }
  return { ...tag, deletion }
}

/** `tags` by name. */
function statesOf(
  tags: Readonly<Record<string, Made>>,
  rest: Partial<ShownRepository> = {},
): Readonly<Record<string, string>> {
  const shown = Object.entries(tags).map(([name, one]) => made(name, one))
  const states = deleteStates({
    tags: shown,
    others: [],
    takenAtMs: [],
    isHeldUp: false,
    nowMs: NOW,
    ...rest,
  })
  return Object.fromEntries(states)
}

/** So many tags that nobody deleted. */
function others(count: number): Record<string, Made> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`other-${at}`, { age: 99 }]))
}

describe('planner / delete-states', () => {
  test('a delete goes when its time has come, to the millisecond', () => {
    expect(statesOf({ a: { due: 0 }, b: { due: -1 }, c: {} })).toEqual({ a: 'due', b: 'in-grace' })
    const later = { nowMs: NOW - 1 }
    expect(statesOf({ a: { due: 0 } }, later)).toEqual({ a: 'in-grace' })
  })

  test('the newest tags stay, whatever of them was deleted', () => {
    const tag = (age: number, due?: number) => ({ age, keepLast: 2, ...(due ? { due } : {}) })
    expect(statesOf({ v1: tag(4, 1), v2: tag(3, 1), v3: tag(2, 1), v4: tag(1, 1) })).toEqual({
      v1: 'due',
      v2: 'due',
      v3: 'kept-last',
      v4: 'kept-last',
    })
    // Two newer ones came: v4 is none of the last any more.
    expect(statesOf({ v4: tag(3, 1), v5: tag(2), v6: tag(1) })).toEqual({ v4: 'due' })
  })

  test('tags pushed at one time are told apart by name, so that a look gives what the last one gave', () => {
    const one = { age: 1, due: 1, keepLast: 1 }
    expect(statesOf({ a: one, b: one })).toEqual({ a: 'due', b: 'kept-last' })
    expect(statesOf({ b: one, a: one })).toEqual({ a: 'due', b: 'kept-last' })
  })

  test('more deletes within a day than the guard lets go all wait', () => {
    const gone = { due: 1, guard: 0.2 }
    const two = statesOf({ a: gone, b: gone, ...others(8) })
    expect(two).toEqual({ a: 'due', b: 'due' })
    const three = statesOf({ a: gone, b: gone, c: gone, ...others(7) })
    expect(three).toEqual({ a: 'held-up', b: 'held-up', c: 'held-up' })
  })

  test('one delete never waits, however few tags there are; a second one within a day does', () => {
    const gone = { due: 1, guard: 0 }
    expect(statesOf({ a: gone })).toEqual({ a: 'due' })
    expect(statesOf({ a: gone, b: gone })).toEqual({ a: 'held-up', b: 'held-up' })
    // The other one went: three hours before this one was due, and then a day and an hour before.
    expect(statesOf({ b: gone }, { takenAtMs: [NOW - 4 * HOUR] })).toEqual({ b: 'held-up' })
    expect(statesOf({ b: gone }, { takenAtMs: [NOW - 26 * HOUR] })).toEqual({ b: 'due' })
  })

  test('those whose time comes within a day count already, and those of another day do not', () => {
    const guard = 0.2
    const near = statesOf({ a: { due: 0, guard }, b: { due: -1, guard }, c: { due: -23, guard } })
    expect(near).toEqual({ a: 'held-up', b: 'in-grace', c: 'in-grace' })
    const far = statesOf({ a: { due: 0, guard }, b: { due: -25, guard }, c: { due: -26, guard } })
    expect(far).toEqual({ a: 'due', b: 'in-grace', c: 'in-grace' })
  })

  test('while deletes wait for a person others wait with them, and what is confirmed goes', () => {
    const gone = { due: 1, guard: 0.5 }
    const tags = { a: gone, b: { ...gone, isConfirmed: true }, ...others(8) }
    expect(statesOf(tags)).toEqual({ a: 'due', b: 'due' })
    expect(statesOf(tags, { isHeldUp: true })).toEqual({ a: 'held-up', b: 'due' })
  })

  test('what is confirmed counts for nothing, and neither does what no guard is about', () => {
    const confirmed = { due: 1, guard: 0, isConfirmed: true }
    const free = { due: 1 }
    const tags = { a: confirmed, b: confirmed, c: free, d: free, e: { due: 1, guard: 0 } }
    expect(new Set(Object.values(statesOf(tags)))).toEqual(new Set(['due']))
    expect(statesOf({ ...tags }, { isHeldUp: true })).toMatchObject({ c: 'due', d: 'due' })
  })

  test('a tag that stays as one of the last counts for nothing', () => {
    const guard = 0.3
    const tags = { a: { age: 2, due: 1, guard }, b: { age: 1, due: 1, guard, keepLast: 1 } }
    expect(statesOf({ ...tags, ...others(2) })).toEqual({ a: 'due', b: 'kept-last' })
  })

  test('what is about an image that stays stays with it, and what is about that', () => {
    const others = [
      ['signature-of-sbom', 'sbom', 0],
      ['sbom', 'kept', 0],
      ['signature-of-kept', 'kept', -1],
      ['signature-of-gone', 'gone', 0],
      ['alone', undefined, 0],
    ] as const
    const states = statesOf(
      { kept: { age: 1, due: 0, keepLast: 1 }, gone: { age: 2, due: 0, keepLast: 1 } },
      {
        others: others.map(([name, subject, due]) => ({
          reference: ref(name),
          dueAtMs: NOW - due * HOUR,
          digest: digestNamed(name),
          ...(subject === undefined ? {} : { subject: digestNamed(subject) }),
        })),
      },
    )
    expect(states).toEqual({
      kept: 'kept-last',
      gone: 'due',
      sbom: 'with-image',
      'signature-of-sbom': 'with-image',
      'signature-of-kept': 'in-grace',
      'signature-of-gone': 'due',
      alone: 'due',
    })
  })

  test('what goes at once is never more of a day than the guard says, nor of the newest tags', () => {
    const one = fc.record({
      age: fc.nat(200),
      due: fc.option(fc.integer({ min: -60, max: 60 }), { nil: undefined }),
    })
    const world = fc.record({
      tags: fc.array(one, { maxLength: 25 }),
      guard: fc.double({ min: 0, max: 1, noNaN: true }),
      keepLast: fc.nat(4),
      taken: fc.array(fc.integer({ min: -60, max: 60 }), { maxLength: 5 }),
    })
    fc.assert(
      fc.property(world, ({ tags, guard, keepLast, taken }) => {
        const shown = tags.map((tag, at) =>
          made(`t${String(at).padStart(2, '0')}`, { ...tag, guard, keepLast }),
        )
        const takenAtMs = taken.map((hours) => NOW - hours * HOUR)
        const states = deleteStates({
          tags: shown,
          others: [],
          takenAtMs,
          isHeldUp: false,
          nowMs: NOW,
        })
        const going = shown.filter(({ tag }) => states.get(tag) === 'due')
        for (const { tag, pushedAtMs } of going) {
          const newer = shown.filter(
            (other) =>
              other.pushedAtMs > pushedAtMs || (other.pushedAtMs === pushedAtMs && other.tag > tag),
          )
          expect(newer.length).toBeGreaterThanOrEqual(keepLast)
        }
        // Every day that begins with one of them, or with one that went before.
        const times = [...takenAtMs, ...going.map(({ deletion }) => deletion?.dueAtMs ?? 0)]
        const limit = Math.max(1, guard * (shown.length + taken.length))
        for (const { deletion } of going) {
          const due = deletion?.dueAtMs ?? 0
          for (const first of times.filter((time) => time <= due && time >= due - GUARD_MS)) {
            const within = times.filter((time) => time >= first && time <= first + GUARD_MS)
            expect(within.length).toBeLessThanOrEqual(limit)
          }
        }
      }),
    )
  })
})
