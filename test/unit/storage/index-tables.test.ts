import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Table } from '../../../src/storage/index-db.ts'
import * as indexTables from '../../../src/storage/index-tables.ts'
import { numberKey, pairKey, secondOf } from '../../../src/storage/index-tables.ts'
import { GOLDEN_ROWS } from './golden-rows.ts'

function isTable(value: unknown): value is Table<unknown> {
  return typeof value === 'object' && value !== null && 'encode' in value
}

/** Table -> hex of its golden row. */
function golden(): ReadonlyMap<string, string> {
  const text = readFileSync(new URL('./golden/rows.txt', import.meta.url), 'utf8')
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  )
}

describe('storage / index-tables', () => {
  const tables = (Object.values(indexTables) as readonly unknown[]).filter(isTable)

  test('every table has a golden row, and no two share a name', () => {
    expect(tables.length).toBeGreaterThan(10)
    expect([...golden().keys()].sort()).toEqual(tables.map(({ name }) => name).sort())
    expect(new Set(tables.map(({ name }) => name)).size).toBe(tables.length)
    for (const { name } of tables) expect(name).toMatch(/^[a-z]+$/)
  })

  /** A change here is a new INDEX_VERSION with a migration: data directories are full of these bytes. */
  test('every row has the bytes that it always had, and they are read as the same row', () => {
    for (const table of tables) {
      const row = GOLDEN_ROWS[table.name]
      expect(Buffer.from(table.encode(row)).toString('hex'), table.name).toBe(
        golden().get(table.name),
      )
      const bytes = Uint8Array.from(Buffer.from(golden().get(table.name) ?? '', 'hex'))
      expect(table.decode(bytes), table.name).toEqual(row)
    }
  })

  test('numbers sort as keys as they sort as numbers', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        expect(numberKey(a) < numberKey(b)).toBe(a < b)
        expect(Number(numberKey(a))).toBe(a)
      }),
    )
  })

  test('the second part of a pair is the one it was made of', () => {
    expect(secondOf(pairKey('team/app', 'v1'))).toBe('v1')
  })
})
