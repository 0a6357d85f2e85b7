/** Runs the conformance suite against a fresh node and prints the counts. Run: npm run conformance (needs Go). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installSuite, runSuite } from './conformance-suite.ts'

const directory = await mkdtemp(join(tmpdir(), 'entrepot-suite-'))
try {
  const suite = await installSuite(directory)
  if ('reason' in suite) throw new Error(`conformance not run: ${suite.reason}`)
  const { tests, failures, errors, skipped, disabled, faults } = await runSuite(suite.program)
  for (const fault of faults) console.log(fault)
  const passed = tests - failures - errors - skipped - disabled
  console.log(
    `${passed} passed, ${failures} failed, ${errors} errors, ${skipped} skipped, ${disabled} disabled`,
  )
  process.exitCode = failures + errors + skipped + disabled === 0 ? 0 : 1
} finally {
  await rm(directory, { recursive: true, force: true })
}
