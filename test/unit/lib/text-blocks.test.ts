import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createTextBlocks } from '../../../src/lib/text-blocks.ts'

test('wherever the text is cut, the blocks are the same', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', '\n'), maxLength: 5 })
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const blocks = createTextBlocks()
      const whole = pieces.join('').split('\n\n')
      whole.pop()
      expect(pieces.flatMap(blocks.push)).toEqual(whole)
    }),
  )
})
