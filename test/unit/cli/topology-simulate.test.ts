import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readSources } from '../../architecture/source-files.ts'
import { importsOf } from '../../architecture/source-imports.ts'

describe('cli / topology simulate', () => {
  test('the other commands do not load the simulator', () => {
    const loaded = new Set<string>()
    const sources = readSources()
    const load = (path: string) => {
      if (loaded.has(path)) return
      loaded.add(path)
      for (const next of staticImports(path, sources.get(path) ?? '')) load(next)
    }
    load('src/cli/program.ts')
    expect(loaded.size).toBeGreaterThan(20)
    expect([...loaded].filter((path) => path.startsWith('src/simulator/'))).toEqual([])
  })
})

/** Paths of own modules that are loaded with the file: no types, nothing that is imported later. */
function staticImports(path: string, text: string): readonly string[] {
  const later = text
    .replaceAll(/import type [^']*'[^']*'/g, '')
    .replaceAll(/import\('[^']*'\)/g, '0')
  return importsOf(path, later).flatMap(({ specifier }) =>
    specifier?.startsWith('.') ? join(path, '..', specifier) : [],
  )
}
