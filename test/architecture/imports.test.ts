import { describe, expect, test } from 'vitest'
import { clockReaders, edgesOf, forbiddenImports, importCycles, misplacedFiles } from './rules.ts'
import { readSources } from './source-files.ts'

describe('architecture / imports', () => {
  const sources = readSources()

  test('the graph is not empty: files and imports between rooms are found', () => {
    const between = edgesOf(sources).filter(({ from, to }) => sources.has(to ?? '') && from !== to)
    expect(sources.size).toBeGreaterThan(0)
    expect(between.length).toBeGreaterThan(0)
  })

  test('every file stands in a room of the table, has a name of its own and at most 400 lines', () => {
    expect(misplacedFiles(sources)).toEqual([])
  })

  test('a room imports only rooms below it, and libraries only inside their fence', () => {
    expect(forbiddenImports(sources)).toEqual([])
  })

  test('no files import each other in a circle', () => {
    expect(importCycles(sources)).toEqual([])
  })

  test('nothing outside lib reads the time of the system', () => {
    expect(clockReaders(sources)).toEqual([])
  })
})
