import { posix } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isDigest,
  parseReference,
  parseRepositoryName,
  parseTag,
  type Tag,
  withSuffix,
} from '../../../src/oci/name.ts'

/** The grammar as the specification prints it (distribution-spec, "Pulling manifests"). */
const SPEC_NAME = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/
const SPEC_TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** Text from the characters that tricks are made of. */
const tricky = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', '.', '/', '_', '-', '\\', '%', ':', '\0', '\n', ' ', 'é'),
  maxLength: 12,
})

describe('oci / name', () => {
  test.each(['a', 'library/alpine', 'a.b', 'a_b', 'a__b', 'a---b', '0/1/2', 'a-b.c_d/e'])(
    '%s is a repository name',
    (name) => {
      expect(parseRepositoryName(name)).toBe(name)
    },
  )

  test.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'A',
    'a/B',
    '.',
    '..',
    'a/..',
    '../a',
    'a/./b',
    'a..b',
    'a___b',
    'a._b',
    '-a',
    'a-',
    '_manifests',
    'a/_layers',
    'a\0b',
    'a\n',
    'a b',
    'a%2fb',
    'a\\b',
    'a:b',
    'é',
  ])('%j is no repository name', (name) => {
    expect(parseRepositoryName(name)).toBeUndefined()
  })

  test('a repository name is at most 255 characters long', () => {
    expect(parseRepositoryName('a'.repeat(255))).toBeDefined()
    expect(parseRepositoryName('a'.repeat(256))).toBeUndefined()
  })

  test('a name that is accepted stays below the directory that it is joined to, and names no directory of the layout', () => {
    fc.assert(
      fc.property(tricky, (text) => {
        const name = parseRepositoryName(text)
        expect(name !== undefined).toBe(SPEC_NAME.test(text) && !text.includes('\n'))
        if (name === undefined) return
        expect(posix.join('/repositories', name)).toBe(`/repositories/${name}`)
        expect(name.split('/').some((part) => part.startsWith('_'))).toBe(false)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a tag that is accepted is one file name, and never . or ..', () => {
    fc.assert(
      fc.property(tricky, (text) => {
        const tag = parseTag(text)
        expect(tag !== undefined).toBe(SPEC_TAG.test(text) && !text.includes('\n'))
        if (tag === undefined) return
        expect(posix.join('/tags', tag)).toBe(`/tags/${tag}`)
        expect(tag).not.toMatch(/^\.|[/\\:\0]/)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a tag is at most 128 characters long', () => {
    expect(parseTag('t'.repeat(128))).toBeDefined()
    expect(parseTag('t'.repeat(129))).toBeUndefined()
  })

  test('matching a hostile name takes no time that grows with its tricks', () => {
    const hostile = [`${'a-'.repeat(127)}!`, `${'a'.repeat(254)}!`, `${'a_'.repeat(127)}/`]
    const startedAt = performance.now()
    for (let round = 0; round < 1_000; round += 1) hostile.map(parseRepositoryName)
    // Milliseconds for 3 000 names; one with backtracking takes longer than the universe.
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  test('a suffix keeps a tag valid; of a long one the beginning stays, and a hash of it all', () => {
    expect(withSuffix('v1' as Tag, '--x')).toBe('v1--x')
    expect(withSuffix('v'.repeat(125) as Tag, '--x')).toBe(`${'v'.repeat(125)}--x`)
    const [one, two] = ['1', '2'].map((end) => withSuffix(`${'v'.repeat(127)}${end}` as Tag, '--x'))
    expect(one).toMatch(/^v{116}-[0-9a-f]{8}--x$/)
    expect(two).not.toBe(one)
    expect(one && parseTag(one)).toBe(one)
  })

  test('a reference is a tag or a digest, and shows which', () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const [byDigest, byTag] = [parseReference(digest), parseReference('v1')]
    expect(byDigest && isDigest(byDigest)).toBe(true)
    expect(byTag && isDigest(byTag)).toBe(false)
    expect(parseReference('sha256:short')).toBeUndefined()
  })
})
