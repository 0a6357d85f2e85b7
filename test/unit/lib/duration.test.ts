import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  boundText,
  durationText,
  parseDuration,
  writtenDuration,
} from '../../../src/lib/duration.ts'

const SIZES: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
}

function msOf(text: string): number {
  return text.split(' ').reduce((sum, part) => {
    const [, count, unit = ''] = /^(\d+)(\w+)$/.exec(part) ?? []
    return sum + Number(count) * (SIZES[unit] ?? Number.NaN)
  }, 0)
}

describe('lib / duration', () => {
  test.each([
    ['7d', 604_800_000],
    ['24h', 86_400_000],
    ['90s', 90_000],
    ['5m', 300_000],
    ['250ms', 250],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

  test.each(['', '7', 'd', '-1d', '1.5h', '1 d', '1w', '7D', '9999999999d'])(
    '"%s" is no duration',
    (text) => expect(parseDuration(text)).toBeUndefined(),
  )

  test.each([
    [604_800_000, '7d'],
    [604_799_000, '6d 23h'],
    [172_799_999, '1d 23h'],
    [90_000, '1m 30s'],
    [59_999, '59s'],
    [999, '999ms'],
    [0, '0ms'],
    [-5, '0ms'],
  ])('%i ms reads %s', (ms, text) => expect(durationText(ms)).toBe(text))

  test('a bound is told in its two largest units, rounded up and never down', () => {
    const told = [
      0, 250, 999.5, 59_001, 300_000, 3_599_999, 75_600_000, 86_340_000, 86_399_999, 90_000_000,
    ]
    expect(told.map(boundText)).toEqual([
      '0ms',
      '250ms',
      '1s',
      '1m',
      '5m',
      '1h',
      '21h',
      '23h 59m',
      '1d',
      '1d 1h',
    ])
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 * 86_400_000 }), (ms) => {
        const back = msOf(boundText(ms))
        expect(back).toBeGreaterThanOrEqual(ms)
        expect(back).toBeLessThanOrEqual(ms * 1.05 + 1_000)
        const age = msOf(durationText(ms))
        expect(age).toBeLessThanOrEqual(ms)
        expect(age).toBeGreaterThanOrEqual(ms * 0.95 - 1_000)
      }),
    )
  })

  test('what is written in one unit is what was read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), (ms) => {
        expect(parseDuration(writtenDuration(ms))).toBe(ms)
      }),
    )
    expect([90_000, 3_600_000, 90_061_000].map(writtenDuration)).toEqual(['90s', '1h', '90061s'])
  })
})
