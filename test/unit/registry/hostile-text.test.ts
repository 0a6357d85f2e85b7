import { posix } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDigest } from '../../../src/oci/digest.ts'
import { isDigest } from '../../../src/oci/name.ts'
import { namesDigest } from '../../../src/registry/entity-tag.ts'
import { parsePath } from '../../../src/registry/path.ts'
import { parseRange } from '../../../src/registry/range.ts'
import {
  blobDirectoryPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
} from '../../../src/storage/layout.ts'
import { makeBlob } from '../../helpers/images.ts'

const { digest: DIGEST } = makeBlob(Buffer.from('x'))

/** Pieces of paths, and any characters at all, lone surrogates included. */
const piece = fc.oneof(
  fc.constantFrom(
    'a',
    'b1',
    '..',
    '.',
    '',
    '%2e%2e',
    '%2f',
    '%5c',
    '\\',
    '\0',
    '%00',
    'A',
    '_layers',
    'é',
    '\ud800',
  ),
  fc.constantFrom(
    'blobs',
    'manifests',
    'tags/list',
    'referrers',
    'uploads',
    DIGEST,
    `sha256:${'A'.repeat(64)}`,
    'v1',
  ),
  fc.string({ unit: 'binary' }),
)
const path = fc.array(piece, { minLength: 1, maxLength: 7 }).map((parts) => parts.join('/'))
const method = fc.constantFrom('GET', 'PUT', 'DELETE', 'TRACE')

/** Every place in the layout that the parts of a target lead to. */
function placesOf(target: ReturnType<typeof parsePath>): readonly string[] {
  switch (target?.kind) {
    case 'manifest': {
      const { repository, reference } = target
      if (isDigest(reference)) return [revisionLinkPath(repository, reference)]
      return [
        tagCurrentLinkPath(repository, reference),
        tagIndexLinkPath(repository, reference, DIGEST),
      ]
    }
    case 'blob':
    case 'referrers':
      return [layerLinkPath(target.repository, target.digest), blobDirectoryPath(target.digest)]
    case 'uploads':
    case 'upload':
    case 'tags':
      return [layerLinkPath(target.repository, DIGEST)]
    default:
      return []
  }
}

describe('text from strangers', () => {
  it('a path is understood or refused as the specification says, and leads nowhere but into the layout', () => {
    fc.assert(
      fc.property(path, method, (text, verb) => {
        try {
          for (const place of placesOf(parsePath(text, verb))) {
            expect(posix.normalize(place)).toBe(place)
            expect(place).toMatch(/^docker\/registry\/v2\/[a-zA-Z0-9._/-]+$/)
          }
        } catch (err) {
          expect((err as Error).name).toBe('OciError')
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('a range lies within the blob, whatever the header says', () => {
    const number = fc.oneof(
      fc.nat().map(String),
      fc.bigInt({ min: 0n }).map(String),
      fc.constant(''),
    )
    const header = fc.oneof(
      fc.tuple(number, number).map(([from, to]) => `bytes=${from}-${to}`),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(fc.option(header, { nil: undefined }), fc.nat(), (text, size) => {
        const ask = parseRange(text, size)
        if (ask.kind !== 'part') return
        const { start, end } = ask.range
        expect([Number.isSafeInteger(start), Number.isSafeInteger(end)]).toEqual([true, true])
        expect(start >= 0 && start < end && end <= size).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  it('a condition is true for the digest in quotes and for a star alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        if (text.includes('*') || text.includes(DIGEST)) return
        expect(namesDigest(text, DIGEST)).toBe(false)
      }),
    )
  })

  it('a digest is lower-case hex of the right length, and nothing more', () => {
    const right = fc.constantFrom('0', '9', 'a', 'f')
    const hex = fc
      .tuple(
        fc.constantFrom(0, 63, 64, 65, 127, 128, 129),
        fc.constantFrom('', '', 'A', '/', '.', '\n', '\0'),
      )
      .chain(([length, wrong]) =>
        fc
          .string({ unit: right, minLength: length, maxLength: length })
          .map((text) => wrong + text),
      )
    const lengths = new Map([
      ['sha256:', 64],
      ['sha512:', 128],
    ])
    fc.assert(
      fc.property(fc.constantFrom('sha256:', 'sha512:', 'SHA256:', ''), hex, (algorithm, rest) => {
        const parsed = parseDigest(`${algorithm}${rest}`)
        if (parsed !== undefined) expect(blobDirectoryPath(parsed)).not.toContain('..')
        const length = lengths.get(algorithm)
        expect(parsed !== undefined).toBe(
          rest.length === length && /^[0-9a-f]*$/.test(rest) && !rest.includes('\n'),
        )
      }),
    )
  })
})
