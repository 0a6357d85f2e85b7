import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const MODULE = fileURLToPath(new URL('../../../src/lib/spare-memory.ts', import.meta.url))
/** Makes the young generation large, as loading many modules does: much is made, and some of it stays for a while. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { giveBackSpareMemory } from ${JSON.stringify(MODULE)}
  const young = () => getHeapSpaceStatistics().find((one) => one.space_name === 'new_space').space_size
  const some = []
  for (let at = 0; at < 2_000_000; at += 1) some[at % 100_000] = { at, text: [at] }
  const before = young()
  giveBackSpareMemory()
  console.log(JSON.stringify({ before, after: young() }))
`

it('the young generation is small again after what the start needed', async () => {
  const flags = ['--input-type=module', '--eval', PROGRAM]
  const { stdout } = await promisify(execFile)(process.execPath, flags)
  const { before, after } = JSON.parse(stdout)
  expect(before).toBeGreaterThan(8 * 1024 * 1024)
  expect(after).toBeLessThan(4 * 1024 * 1024)
})
