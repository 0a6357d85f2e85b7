import { describe, expect, test } from 'vitest'
import { isEmptyRange, semverMatcher, semverProblem } from '../../../src/topology/semver-range.ts'

describe('topology / semver range', () => {
  test.each([
    {
      range: '>=1.0.0',
      yes: ['1.0.0', 'v1.2.3', '12.0.0'],
      no: ['0.9.9', '1.0.0-rc1', 'v2.0.0-rc.1', '1.2', 'latest', '1.0.0.0', ''],
    },
    {
      range: '>=3.0.0 <4.0.0',
      yes: ['3.0.0', 'v3.9.9'],
      no: ['4.0.0', '4.0.0-rc1', '3.1.0-rc1', '2.9.9'],
    },
    { range: '^3', yes: ['3.0.0', '3.4.5'], no: ['4.0.0', '2.9.9'] },
    { range: '1.x', yes: ['1.0.0', '1.99.0'], no: ['2.0.0', '1.x'] },
    {
      range: '>=2.0.0-rc.1 <3',
      yes: ['2.0.0-rc.1', '2.0.0-rc.2', '2.0.0', '2.5.0'],
      no: ['2.0.0-beta.1', '2.5.0-rc.1'],
    },
    { range: '~1.2.3', yes: ['1.2.3', '1.2.9'], no: ['1.3.0'] },
    { range: '1.0.0 || 2.0.0', yes: ['v1.0.0', '2.0.0'], no: ['1.0.1'] },
  ])('$range lets $yes through and none of $no', ({ range, yes, no }) => {
    expect(semverProblem(range)).toBeUndefined()
    const matches = semverMatcher(range)
    expect(yes.filter(matches)).toEqual(yes)
    expect(no.filter(matches)).toEqual([])
  })

  test.each(['', ' ', 'latest', '>=a', '1.2.3.4'])('"%s" is no range', (range) => {
    expect(semverProblem(range)).toMatch(/^expected a range of versions/)
  })

  test('a range may have no version in it', () => {
    expect(isEmptyRange('>2 <1')).toBe(true)
    expect(['>=1 <2', '^3', '>=2.0.0-rc.1', '*'].filter(isEmptyRange)).toEqual([])
  })
})
