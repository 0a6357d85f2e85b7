import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCbor, encodeCbor } from '../../../src/record/cbor-codec.ts'

/** What our rows and frames are made of. */
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string(),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
      tie('value'),
      {
        maxKeys: 5,
        noNullPrototype: true,
      },
    ),
  ),
})).value

describe('record / cbor-codec', () => {
  test('what is encoded comes back', () => {
    fc.assert(
      fc.property(plain, (value) => {
        expect(decodeCbor(encodeCbor(value))).toEqual(value)
      }),
    )
  })

  test('bytes come back as bytes, whole numbers as numbers up to the last safe one', () => {
    const value = { bytes: Uint8Array.of(1, 2, 3), number: Number.MAX_SAFE_INTEGER }
    const decoded = decodeCbor(encodeCbor(value)) as typeof value
    expect(decoded.bytes).toBeInstanceOf(Uint8Array)
    expect([...decoded.bytes]).toEqual([1, 2, 3])
    expect(decoded.number).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('tags that would build other objects are refused', () => {
    for (const tag of [0, 1, 2, 3, 4, 5, 27, 28, 29, 51, 64, 105, 258, 259]) {
      const head = tag < 24 ? [0xc0 + tag] : tag < 256 ? [0xd8, tag] : [0xd9, 1, tag - 256]
      const bytes = Uint8Array.from([...head, 0x81, 0x61, 0x61])
      expect(() => decodeCbor(bytes), `tag ${tag}`).toThrow()
    }
  })

  test('bytes after the value are refused', () => {
    expect(() => decodeCbor(Uint8Array.of(1, 1))).toThrow()
  })

  test('whatever comes, decoding throws or gives a value, and touches nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeCbor(bytes)
        } catch (err) {
          expect(err).toBeInstanceOf(Error)
        }
        expect(decodeCbor(encodeCbor({ a: [1] }))).toEqual({ a: [1] })
      }),
      { numRuns: 2_000 },
    )
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})
