/**
 * `npm run simulate -- --seed N`: runs one seed and prints its story. `--seeds COUNT` runs many on all cores and prints
 * the failures; with `--state FILE` it goes on where the last run with this file ended.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { readState, writeState } from './run-state.ts'
import { runSeeds } from './seed-threads.ts'
import { runSeed } from './seeds.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    state: { type: 'string' },
  },
})
/** Seeds between two writes of the state file. */
const CHUNK = 100
const first = whole('seed')
const count = whole('seeds')
if (count === 1 && values.state === undefined) await replay(first)
else await runMany()

function whole(name: 'seed' | 'seeds' | 'threads'): number {
  const number = Number(values[name])
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`--${name} expects a whole number above 0, got ${values[name]}`)
  return number
}

async function replay(seed: number): Promise<void> {
  const { realm, error, story } = await runSeed(seed)
  for (const line of story) console.log(line)
  console.log(`seed ${seed} (${realm}): ${error ?? 'good'}`)
  process.exitCode = error === undefined ? 0 : 1
}

async function runMany(): Promise<void> {
  const { state: path } = values
  const state = path === undefined ? { next: first, good: 0, failures: [] } : readState(path, first)
  const end = first + count
  while (state.next < end) {
    const size = Math.min(CHUNK, end - state.next)
    const failures: { seed: number; error: string }[] = []
    await runSeeds({ first: state.next, count: size, threads: whole('threads') }, (outcome) => {
      const { seed, realm, error } = outcome
      if (error === undefined) state.good += 1
      else {
        failures.push({ seed, error })
        console.log(`seed ${seed} (${realm}): ${error}; npm run simulate -- --seed ${seed}`)
      }
      return true
    })
    state.failures.push(...failures.sort((a, b) => a.seed - b.seed))
    state.next += size
    if (path !== undefined) writeState(path, state)
    progress(`${state.next - first} of ${count} seeds, ${state.failures.length} failed`)
  }
  progress('')
  console.log(`${state.good} seeds good, ${state.failures.length} failed`)
  process.exitCode = state.failures.length === 0 ? 0 : 1
}

function progress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r${text.padEnd(60)}\r`)
}
