/** `npm run simulate -- --seed N [--seeds COUNT]`: runs seeds of the simulation and prints the story of one that fails. */
import { parseArgs } from 'node:util'
import { runSeed } from './seeds.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' }, trace: { type: 'boolean' } },
})
const first = Number(values.seed ?? 1)
const count = Number(values.seeds ?? 1)
let failed = 0
for (let seed = first; seed < first + count; seed += 1) {
  const outcome = await runSeed(seed)
  if (outcome.error === undefined && !(values.trace ?? count === 1)) continue
  console.log(`seed ${seed} (${outcome.realm}): ${outcome.error ?? 'good'}`)
  for (const line of outcome.trace) console.log(`  ${line}`)
  if (outcome.error !== undefined) failed += 1
}
console.log(`${count - failed} seeds good, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
