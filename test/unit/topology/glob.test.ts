import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  anyGlob,
  mayMeet,
  repositoryGlobProblem,
  sampleOf,
  tagGlobProblem,
} from '../../../src/topology/glob.ts'

const PART = fc.stringMatching(/^[a-z0-9]{1,3}$/)
const NAME = fc.array(PART, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const GLOB = fc
  .tuple(NAME, fc.constantFrom('', '/**', '/*', '*', '-{a,b}', '[a-f]'))
  .map((parts) => parts.join(''))

describe('topology / glob', () => {
  test.each([
    { glob: 'acme/**', yes: ['acme/x', 'acme/x/y'], no: ['acme', 'acmex', 'other/acme/x'] },
    { glob: 'acme/*', yes: ['acme/x'], no: ['acme', 'acme/x/y'] },
    { glob: '**', yes: ['a', 'a/b/c'], no: [] },
    { glob: '*', yes: ['a'], no: ['a/b'] },
    { glob: '{eu,us}/**', yes: ['eu/x', 'us/x/y'], no: ['ap/x'] },
    { glob: 'a?c', yes: ['abc'], no: ['a/c', 'ac'] },
  ])('$glob matches $yes and none of $no', ({ glob, yes, no }) => {
    expect(repositoryGlobProblem(glob)).toBeUndefined()
    expect(yes.filter(anyGlob([glob]))).toEqual(yes)
    expect(no.filter(anyGlob([glob]))).toEqual([])
  })

  test.each([
    { glob: 'v[0-9]*', yes: ['v1', 'v1.2.0-rc1'], no: ['latest', 'v', 'vx'] },
    { glob: '[0-9]*.[0-9]*', yes: ['1.2', '2024.11.3'], no: ['1', 'v1.2'] },
    { glob: '[^v]*', yes: ['1.0'], no: ['v1'] },
    { glob: '*-rc*', yes: ['1-rc1'], no: ['1'] },
  ])('of tags $glob matches $yes and none of $no', ({ glob, yes, no }) => {
    expect(tagGlobProblem(glob)).toBeUndefined()
    expect(yes.filter(anyGlob([glob]))).toEqual(yes)
    expect(no.filter(anyGlob([glob]))).toEqual([])
  })

  test.each([
    '',
    '!a',
    '[!a]',
    'a b',
    '+(a)',
    'a|b',
    'a\\*',
    '[a',
    'a]',
    '{a',
    'a}',
    '{a}',
    '[]',
    '[z-a]',
    '{1..9}',
    '*a*a*a*a*',
    'a'.repeat(256),
  ])('"%s" is no glob', (glob) => {
    expect(repositoryGlobProblem(glob)).toMatch(/^expected /)
    expect(tagGlobProblem(glob)).toMatch(/^expected /)
  })

  test.each(['/a', 'a/', 'a//b', 'Acme/**'])(
    '"%s" matches no repository name, so it is refused',
    (glob) => {
      expect(repositoryGlobProblem(glob)).toMatch(/^expected /)
    },
  )

  test('the slowest glob that is allowed gives up on a tag that nearly matches', () => {
    // Four wildcards with the same letter between them. One more would take thirty times as long.
    expect(tagGlobProblem('*a*a*a*b')).toBeUndefined()
    expect(anyGlob(['*a*a*a*b'])('a'.repeat(128))).toBe(false)
  })

  test('an empty list of globs matches nothing', () => {
    expect(anyGlob([])('a')).toBe(false)
  })

  test('two globs that share a name may meet, and meeting does not depend on the order', () => {
    fc.assert(
      fc.property(GLOB, GLOB, NAME, (a, b, name) => {
        const isShared = anyGlob([a])(name) && anyGlob([b])(name)
        expect(mayMeet(a, b)).toBe(mayMeet(b, a))
        expect(!isShared || mayMeet(a, b)).toBe(true)
        expect(mayMeet(name, `${name}/**`)).toBe(false)
        expect(mayMeet(`${name}/x`, `${name}/**`)).toBe(true)
      }),
    )
    expect(mayMeet('team-eu/**', 'team-us/**')).toBe(false)
  })

  test.each(['**', 'pos/**', 'a-*/b?', '{eu,us}/x', 'r[0-9]/[^a-c]', 'plain', 'a/**/z', 'v{1,2}*'])(
    'the sample of "%s" matches it',
    (glob) => {
      expect(anyGlob([glob])(sampleOf(glob))).toBe(true)
    },
  )
})
