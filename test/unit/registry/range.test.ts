import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRange } from '../../../src/registry/range.ts'

const part = (start: number, end: number) => ({ kind: 'part', range: { start, end } })

describe('the Range header', () => {
  it.each([
    [undefined, 100, { kind: 'whole' }],
    ['bytes=0-9', 100, part(0, 10)],
    ['bytes=90-', 100, part(90, 100)],
    ['bytes=-10', 100, part(90, 100)],
    ['bytes=-1000', 100, part(0, 100)],
    ['bytes=50-5000', 100, part(50, 100)],
    ['bytes=99-99', 100, part(99, 100)],
    ['bytes=0-', 1, part(0, 1)],
    ['bytes=100-', 100, { kind: 'unsatisfiable' }],
    ['bytes=100-200', 100, { kind: 'unsatisfiable' }],
    [`bytes=${'9'.repeat(30)}-`, 100, { kind: 'unsatisfiable' }],
    ['bytes=-0', 100, { kind: 'unsatisfiable' }],
    ['bytes=0-', 0, { kind: 'unsatisfiable' }],
    ['bytes=-5', 0, { kind: 'unsatisfiable' }],
    ['bytes=5-2', 100, { kind: 'unsatisfiable' }],
    ['bytes=0-1,5-6', 100, { kind: 'whole' }],
    ['bytes=-', 100, { kind: 'whole' }],
    ['bytes=a-b', 100, { kind: 'whole' }],
    ['items=0-9', 100, { kind: 'whole' }],
  ])('%s of %i bytes', (header, size, expected) => {
    expect(parseRange(header, size)).toEqual(expected)
  })

  it('a part lies within the blob and is not empty', () => {
    const number = fc.nat({ max: 300 })
    fc.assert(
      fc.property(fc.option(number), fc.option(number), fc.nat({ max: 200 }), (from, to, size) => {
        const ask = parseRange(`bytes=${from ?? ''}-${to ?? ''}`, size)
        if (ask.kind !== 'part') return true
        const { start, end } = ask.range
        return start >= 0 && start < end && end <= size
      }),
    )
  })
})
