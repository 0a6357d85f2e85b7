import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { installSuite, runSuite } from './conformance-suite.ts'
import { sayIt } from './programs.ts'

test('the conformance suite of the specification passes with everything on: no fail, no error, no skip', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-suite-'))
  try {
    const suite = await installSuite(directory)
    if ('reason' in suite) {
      sayIt(`skipped: the conformance suite: ${suite.reason}`)
      context.skip()
      return
    }
    const { faults, tests, ...counts } = await runSuite(suite.program)
    sayIt(`conformance: ${tests} tests, ${JSON.stringify(counts)}`)
    expect(faults).toEqual([])
    expect(counts).toEqual({ failures: 0, errors: 0, skipped: 0, disabled: 0 })
    expect(tests).toBeGreaterThan(800)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
