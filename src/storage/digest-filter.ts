/**
 * A Bloom filter of digests: millions of them in a few MiB. It never forgets one that was added; now and then it claims
 * one that was not, and then something unused stays until the next run, which throws other dice.
 */
import type { Random } from '../lib/random.ts'
import { type Digest, hexOf } from '../oci/digest.ts'

export interface DigestFilter {
  add(digest: Digest): void
  /** False only when the digest was never added. */
  has(digest: Digest): boolean
}

/** Of each digest expected: with four places it gives one wrong yes in a thousand, at half the load one in ten thousand. */
const BITS_EACH = 20
/** Bits, as powers of two: 1 KiB for small repositories, at most 8 MiB, which is three million digests. */
const SIZE = { least: 13, most: 26 }
/** Words that come into being together, once a bit among them is set: a node with little content takes little memory. */
const PAGE_WORDS = 1_024
/** Places of one digest. Digests are random already: four of their words, moved by chance, need no further hash. */
const PLACES = 4

export function createDigestFilter(
  { random }: { readonly random: Random },
  { expected }: { readonly expected: number },
): DigestFilter {
  const power = Math.ceil(Math.log2(Math.max(1, expected * BITS_EACH)))
  const bits = 2 ** Math.min(Math.max(power, SIZE.least), SIZE.most)
  const pages: (Uint32Array | undefined)[] = []
  const salt = new Uint32Array(random.bytes(PLACES * 4).slice().buffer)

  function* placesOf(digest: Digest): Generator<number> {
    const hex = hexOf(digest)
    for (let at = 0; at < PLACES; at += 1) {
      const word = Number.parseInt(hex.slice(at * 8, at * 8 + 8), 16)
      yield ((word ^ (salt[at] ?? 0)) >>> 0) % bits
    }
  }

  return {
    add: (digest) => {
      for (const place of placesOf(digest)) {
        const word = place >>> 5
        const at = word % PAGE_WORDS
        const number = (word - at) / PAGE_WORDS
        const page = pages[number] ?? new Uint32Array(PAGE_WORDS)
        pages[number] = page
        page[at] = (page[at] ?? 0) | (1 << (place & 31))
      }
    },
    has: (digest) => {
      for (const place of placesOf(digest)) {
        const word = place >>> 5
        const at = word % PAGE_WORDS
        const page = pages[(word - at) / PAGE_WORDS]
        if (((page?.[at] ?? 0) & (1 << (place & 31))) === 0) return false
      }
      return true
    },
  }
}
