import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LATER_KEYS, LATER_VALUES } from '../../../src/topology/not-yet.ts'
import { errorLines, topologyOf } from './topology-texts.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/TOPOLOGY.md', import.meta.url), 'utf8')
const LATER = DOCUMENT.slice(DOCUMENT.indexOf('## Not yet'))

describe('topology / document', () => {
  test('the example of docs/TOPOLOGY.md is a good file', () => {
    const example = /```yaml\n([\s\S]*?)```/.exec(DOCUMENT)?.[1] ?? ''
    expect(errorLines(example)).toEqual([])
    expect(topologyOf(example).groups.map(({ id }) => id)).toEqual(['0/hub'])
  })

  test('docs/TOPOLOGY.md names every word that is not yet in this version', () => {
    const words = [...LATER_KEYS, ...LATER_VALUES].map(String)
    const missing = words.filter((word) => !new RegExp(`[\`. ]${word}\``).test(LATER))
    expect(missing).toEqual([])
  })

  test('what docs/TOPOLOGY.md lists as not yet is refused so', () => {
    const listed = [...LATER.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
    const places = ['metadata', 'nodes', 'origins', 'policies', 'links', 'conflict', 'match']
    const words = listed
      .filter((word) => !places.includes(word))
      .map((word) => word.split(/[ .]/).at(-1) ?? '')
    expect(words.length).toBeGreaterThan(20)
    expect(words.filter((word) => !LATER_KEYS.has(word) && !LATER_VALUES.has(word))).toEqual([])
  })
})
