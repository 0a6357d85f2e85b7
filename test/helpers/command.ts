/** The command line of entrepot, run to its end. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Milliseconds: a directory of a test is read within a second, a mesh that heals agrees within a minute and a half. */
const TIMEOUT_MS = 120_000

export function entrepot(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  })
  return { status, stdout, stderr }
}
