/** Reads the source tree of this checkout. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Sources } from './rules.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export function readSources(): Sources {
  const paths = globSync('src/**/*.{ts,mts,cts,tsx,js,mjs,cjs,jsx}', { cwd: ROOT })
  return new Map(paths.map((path) => [path, readFileSync(`${ROOT}${path}`, 'utf8')]))
}
