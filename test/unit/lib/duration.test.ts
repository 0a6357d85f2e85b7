import { describe, expect, test } from 'vitest'
import { durationText, parseDuration } from '../../../src/lib/duration.ts'

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
    [172_799_999, '1d'],
    [90_000, '1m'],
    [999, '999ms'],
    [0, '0ms'],
    [-5, '0ms'],
  ])('%i ms reads %s', (ms, text) => expect(durationText(ms)).toBe(text))
})
