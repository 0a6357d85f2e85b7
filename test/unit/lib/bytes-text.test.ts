import { expect, test } from 'vitest'
import { rateText } from '../../../src/lib/bytes-text.ts'

test.each([
  [0, '0kbit'],
  [64_000, '64kbit'],
  [1_500_000, '1.5Mbit'],
  [20_000_000, '20Mbit'],
  [1_000_000_000, '1Gbit'],
])('%i bits a second are written %s', (bits, text) => expect(rateText(bits)).toBe(text))
