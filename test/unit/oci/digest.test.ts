import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { algorithmOf, createHasher, digestOf, hexOf, parseDigest } from '../../../src/oci/digest.ts'

const EMPTY = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

describe('oci / digest', () => {
  test('the digest of bytes is the one that every other tool computes', () => {
    expect(digestOf(new Uint8Array())).toBe(EMPTY)
    const sha512 = `sha512:${createHash('sha512').update('abc').digest('hex')}`
    expect(digestOf(Buffer.from('abc'), 'sha512')).toBe(sha512)
  })

  test('a digest is its algorithm and its hex', () => {
    const digest = digestOf(Buffer.from('x'), 'sha512')
    expect(`${algorithmOf(digest)}:${hexOf(digest)}`).toBe(digest)
    expect(parseDigest(digest)).toBe(digest)
    expect(hexOf(digestOf(Buffer.from('x')))).toHaveLength(64)
  })

  test.each([
    ['upper case', EMPTY.toUpperCase()],
    ['upper case hex', `sha256:${EMPTY.slice(7).toUpperCase()}`],
    ['one digit short', EMPTY.slice(0, -1)],
    ['one digit more', `${EMPTY}0`],
    ['a newline at the end', `${EMPTY}\n`],
    ['a space before', ` ${EMPTY}`],
    ['sha512 with the length of sha256', EMPTY.replace('sha256', 'sha512')],
    ['an algorithm that is not supported', 'md5:d41d8cd98f00b204e9800998ecf8427e'],
    ['no hex at all', 'sha256:'],
    ['a path', 'sha256:../../../../etc/passwd'],
    ['nothing', ''],
  ])('%s is no digest', (_, text) => {
    expect(parseDigest(text)).toBeUndefined()
  })

  test('a running hash gives the digest of the whole, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (chunks) => {
        const hasher = createHasher()
        for (const chunk of chunks) hasher.update(chunk)
        expect(hasher.digest()).toBe(digestOf(Buffer.concat(chunks)))
      }),
    )
  })
})
