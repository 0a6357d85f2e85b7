import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemRandom } from '../../../src/lib/random.ts'
import { createDigestFilter } from '../../../src/storage/digest-filter.ts'
import { digestNamed } from '../../helpers/writers.ts'

describe('storage / digest-filter', () => {
  test('what was added is never forgotten', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.nat(1_000), (names, expected) => {
        const filter = createDigestFilter({ random: systemRandom }, { expected })
        const digests = names.map(digestNamed)
        for (const digest of digests) filter.add(digest)
        expect(digests.every(filter.has)).toBe(true)
      }),
    )
  })

  test('filled as expected, it claims few that were never added, and another filter claims others', () => {
    const expected = 5_000
    const filters = [1, 2].map(() => createDigestFilter({ random: systemRandom }, { expected }))
    for (let at = 0; at < expected; at += 1) {
      for (const filter of filters) filter.add(digestNamed(`in ${at}`))
    }
    const strangers = Array.from({ length: 20_000 }, (_, at) => digestNamed(`out ${at}`))
    const claimed = filters.map((filter) => strangers.filter(filter.has))
    // Four places at 20 bits each: about one in a thousand.
    for (const some of claimed) expect(some.length).toBeLessThan(200)
    const both = claimed[0]?.filter((digest) => claimed[1]?.includes(digest))
    expect(both?.length).toBeLessThan(10)
  })
})
