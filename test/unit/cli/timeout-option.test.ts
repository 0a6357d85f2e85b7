import { expect, test } from 'vitest'
import { timeoutMsOf } from '../../../src/cli/timeout-option.ts'

test('a timeout is a number with a unit, and anything else is refused with what was expected', () => {
  expect(timeoutMsOf('90s')).toBe(90_000)
  for (const text of ['soon', '90', '-1s', ''])
    expect(() => timeoutMsOf(text)).toThrow('--timeout: expected a time such as 90s or 5m, got')
})
