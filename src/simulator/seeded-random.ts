/** Chance that can be run again: a counter hashed with the seed. */
import { createHash } from 'node:crypto'
import type { Random } from '../lib/random.ts'

export interface SeededRandom extends Random {
  /** A whole number in [0, below). */
  below(below: number): number
  pick<T>(items: readonly T[]): T
}

export function createSeededRandom(seed: number | string): SeededRandom {
  let state = createHash('sha256').update(String(seed)).digest().readUInt32LE(0)
  /** mulberry32: small, fast, good enough to choose faults. */
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(fraction() * limit)
  return {
    fraction,
    below,
    bytes: (size) => Uint8Array.from({ length: size }, () => below(256)),
    pick: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new RangeError('nothing to pick from')
      return item
    },
  }
}
