import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createLogicalClock,
  isTime,
  msOfTime,
  type Time,
  timeOfMs,
} from '../../../src/record/time.ts'
import { createFakeClock, START_MS } from '../../helpers/fake-clock.ts'

describe('record / time', () => {
  test('a time keeps its milliseconds', () => {
    expect(msOfTime(timeOfMs(START_MS))).toBe(START_MS)
    expect(msOfTime((timeOfMs(START_MS) + 2_047) as Time)).toBe(START_MS)
    expect(msOfTime((timeOfMs(START_MS) + 2_048) as Time)).toBe(START_MS + 1)
  })

  test('times are safe integers greater than zero', () => {
    const times = [1, timeOfMs(START_MS), Number.MAX_SAFE_INTEGER]
    expect(times.map(isTime)).toEqual([true, true, true])
    const others = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]
    expect(others.map(isTime)).toEqual(others.map(() => false))
  })

  test('a new time follows the wall clock', () => {
    const clock = createFakeClock()
    expect(createLogicalClock({ clock }).next([])).toBe(timeOfMs(START_MS))
  })

  test('a restarted clock goes on after the last time it is told, also when the wall clock is behind it', () => {
    const last = timeOfMs(START_MS + 5_000)
    const logical = createLogicalClock({ clock: createFakeClock() }, last)
    expect(logical.next([])).toBe(last + 1)
  })

  test('times strictly increase, whatever the wall clock does and whatever was seen', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: -1e6, max: 1e6 }) }),
      fc.record({ kind: fc.constant('observe' as const), ms: fc.integer({ min: -1e6, max: 1e6 }) }),
      fc.record({
        kind: fc.constant('next' as const),
        after: fc.array(fc.integer({ min: -1e6, max: 1e6 }), { maxLength: 3 }),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = createFakeClock()
        const logical = createLogicalClock({ clock })
        let newest = 0
        for (const one of steps) {
          if (one.kind === 'jump') clock.jump(one.ms)
          if (one.kind === 'observe') {
            logical.observe(timeOfMs(START_MS + one.ms))
            newest = Math.max(newest, timeOfMs(START_MS + one.ms))
          }
          if (one.kind !== 'next') continue
          const after = one.after.map((ms) => timeOfMs(START_MS + ms))
          const time = logical.next(after)
          expect(isTime(time)).toBe(true)
          expect(time).toBeGreaterThan(Math.max(newest, ...after))
          newest = time
        }
      }),
    )
  })
})
