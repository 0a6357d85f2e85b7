import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  BOUND_NAMES,
  BOUNDS,
  DEFAULT_BOUNDS,
  flagOf,
  resolveBounds,
  variableOf,
} from '../../../src/node/bounds.ts'

describe('node / bounds', () => {
  test('what nobody says is the default, and lies between least and greatest', () => {
    expect(resolveBounds([], {})).toEqual(DEFAULT_BOUNDS)
    for (const name of BOUND_NAMES) {
      const bound = BOUNDS[name]
      expect(resolveBounds([`${flagOf(name)}=${bound.default}`], {})).toEqual(DEFAULT_BOUNDS)
    }
  })

  test('flags come before the environment, the last of a name counts', () => {
    const environment = { [variableOf('uploads')]: '5', [variableOf('headerBytes')]: '8192' }
    expect(resolveBounds(['uploads=6', 'uploads=7'], environment)).toEqual({
      ...DEFAULT_BOUNDS,
      uploads: 7,
      headerBytes: 8192,
    })
  })

  test.each([
    ['uploads', 'got nothing'],
    ['uploads=', 'got nothing'],
    ['uploads=0', 'from 1 to 100000 (upload sessions); got 0'],
    ['uploads=1e3', 'got 1e3'],
    ['uploads=-1', 'got -1'],
    ['uploads=1.5', 'got 1.5'],
    ['manifest-bytes=4194305', 'from 1024 to 4194304'],
    ['manifestBytes=2048', 'with one of connections, requests, header-bytes'],
    ['__proto__=1', 'got __proto__=1'],
  ])('--limit %s is refused with what was expected', (flag, message) => {
    expect(() => resolveBounds([flag], {})).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(message) as string,
      }),
    )
  })

  test('a variable that is wrong is named', () => {
    expect(() => resolveBounds([], { ENTREPOT_LIMIT_HEADER_BYTES: '1' })).toThrow(
      'ENTREPOT_LIMIT_HEADER_BYTES must be a whole number from 4096',
    )
  })

  test('docs/OPERATIONS.md has the table of the code', () => {
    const text = readFileSync(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8')
    const rows = BOUND_NAMES.map((name) => {
      const { unit, reached, reason, ...numbers } = BOUNDS[name]
      const { default: usual, least, greatest } = numbers
      const [a, b, c] = [usual, least, greatest].map((value) => value.toLocaleString('en'))
      return `| \`${flagOf(name)}\` | ${unit} | ${a} | ${b} to ${c} | ${reached} | ${reason} |`
    })
    const shown = text.split('\n').filter((line) => /^\| `[a-z-]+` \|(?:[^|]+\|){5}$/.test(line))
    expect(shown).toEqual(rows)
  })
})
