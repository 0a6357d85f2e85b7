import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LAYERS } from './layers.ts'
import { ROOT } from './source-files.ts'

describe('architecture / document', () => {
  test('docs/ARCHITECTURE.md has the table of layers that is enforced', () => {
    const text = readFileSync(`${ROOT}docs/ARCHITECTURE.md`, 'utf8')
    const rows = [...text.matchAll(/^\| *(\d+) *\| *`(\w+)` *\|/gm)]
    expect(Object.fromEntries(rows.map(([, layer, room]) => [room, Number(layer)]))).toEqual(LAYERS)
    expect(rows).toHaveLength(Object.keys(LAYERS).length)
  })
})
