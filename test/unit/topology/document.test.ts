import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LINT_NAMES } from '../../../src/topology/lint-names.ts'
import { LATER_WORDS } from '../../../src/topology/not-yet.ts'
import { errorLines, topologyOf } from '../../helpers/topology-texts.ts'
import { type SchemaKey, schemaKeys } from './schema-walk.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/TOPOLOGY.md', import.meta.url), 'utf8')
const LATER = DOCUMENT.slice(DOCUMENT.indexOf('## Not yet'))

/** The rows of the table of keys of a section: key, type, default, meaning. */
function rowsOf(section: string): ReadonlyMap<string, readonly string[]> {
  const begin = DOCUMENT.indexOf(`\n### ${section}\n`)
  const end = DOCUMENT.slice(begin + 5).search(/\n##+ /)
  const lines = DOCUMENT.slice(begin, begin + 5 + end).split('\n')
  const table = lines.slice(lines.indexOf('| key | type | default | means |') + 2)
  const rows = table.slice(
    0,
    table.findIndex((line) => !line.startsWith('|')),
  )
  return new Map(
    rows.map((row) => {
      const [key = '', ...cells] = row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim())
      return [key.replaceAll('`', ''), cells]
    }),
  )
}

/** `policies.*.match.tags` is documented as `match.tags` under policies. */
function placeOf({ path, section }: SchemaKey): readonly [string, string] {
  if (path === section) return ['top', path]
  return [section, path.slice(section.length).replace(/^(?:\.\*|\[\])?\./, '')]
}

describe('topology / document', () => {
  test('the example of docs/TOPOLOGY.md is a good file', () => {
    const example = /```yaml\n([\s\S]*?)```/.exec(DOCUMENT)?.[1] ?? ''
    expect(errorLines(example)).toEqual([])
    expect(topologyOf(example).groups.map(({ id }) => id)).toEqual(['0/hub'])
  })

  test('every key of the schema stands in docs/TOPOLOGY.md with its type, its default and what it means', () => {
    const missing = schemaKeys().flatMap((key) => {
      const [section, name] = placeOf(key)
      const cells = rowsOf(section).get(name) ?? []
      return cells.length === 3 && cells.every((cell) => cell !== '') ? [] : [key.path]
    })
    expect(missing).toEqual([])
  })

  test('docs/TOPOLOGY.md has no key that the schema does not know', () => {
    const known = new Set(schemaKeys().map((key) => placeOf(key).join(' ')))
    const sections = ['top', 'metadata', 'nodes', 'origins', 'policies', 'links', 'tests']
    const rows = sections.flatMap((section) =>
      [...rowsOf(section).keys()].map((name) => `${section} ${name}`),
    )
    expect(rows.length).toBeGreaterThan(90)
    expect(rows.filter((row) => !known.has(row))).toEqual([])
  })

  test('a default that the schema sets is the one of docs/TOPOLOGY.md', () => {
    const wrong = schemaKeys().flatMap((key) => {
      const { fallback } = key
      // The default of a map is that of its keys.
      if (fallback === undefined || (typeof fallback === 'object' && !Array.isArray(fallback)))
        return []
      const [section, name] = placeOf(key)
      const told = rowsOf(section).get(name)?.[1] ?? ''
      const text = typeof fallback === 'string' ? fallback : JSON.stringify(fallback)
      return told.includes(`\`${text}\``) ? [] : [`${key.path}: ${told}`]
    })
    expect(wrong).toEqual([])
  })

  test('docs/TOPOLOGY.md names every lint', () => {
    const table = DOCUMENT.slice(DOCUMENT.indexOf('### Lints'))
    expect(LINT_NAMES.filter((name) => !table.includes(`\n| \`${name}\` |`))).toEqual([])
  })

  test('docs/TOPOLOGY.md names every word that is not yet in this version', () => {
    const words = LATER_WORDS.flatMap(({ keys, values }) => [...keys, ...values])
    const missing = words.filter((word) => !new RegExp(`[\`. ]${word}\``).test(LATER))
    expect(missing).toEqual([])
  })

  test('what docs/TOPOLOGY.md lists as not yet is refused so', () => {
    const listed = [...LATER.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
    const places = ['nodes', 'origins', 'policies', 'links', 'tests', 'conflict', 'match']
    const words = listed
      .filter((word) => !places.includes(word))
      .map((word) => word.split(/[ .]/).at(-1) ?? '')
    expect(words.length).toBeGreaterThan(15)
    const later = LATER_WORDS.flatMap(({ keys, values }) => [...keys, ...values])
    expect(words.filter((word) => !later.includes(word))).toEqual([])
  })
})
