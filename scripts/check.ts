/** `npm run check`: everything that is quick, side by side. Prints what failed in full, then a line for each. */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

const CHECKS: Readonly<Record<string, string>> = {
  'format and lint': 'biome check --error-on-warnings',
  'typed lint': 'oxlint',
  // Remembers what it found of files that have not changed.
  types: 'tsc --incremental --tsBuildInfoFile node_modules/.cache/types.json',
  'dead code': 'knip --no-config-hints',
  tests: 'vitest run --project unit',
}

/** Runs one check. Returns a line about it, and true when it was good. */
async function run([name, command]: readonly [string, string]) {
  const start = performance.now()
  const child = spawn(`${command} 2>&1`, { shell: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve))
  const output = await text(child.stdout)
  const good = (await closed) === 0
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  if (!good) console.log(`\n--- ${name}: ${command}\n${output.trim()}\n`)
  return { good, line: `${good ? 'ok    ' : 'FAILED'} ${name} (${command}) ${seconds} s` }
}

const outcomes = await Promise.all(Object.entries(CHECKS).map(run))
for (const { line } of outcomes) console.log(line)
process.exitCode = outcomes.every(({ good }) => good) ? 0 : 1
