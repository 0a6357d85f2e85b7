/** The state of a long run, in a file: where to go on, and which seeds failed. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

export interface RunState {
  /** All seeds before this one have been run. */
  next: number
  good: number
  readonly failures: { readonly seed: number; readonly error: string }[]
}

/** @throws when the file is there and is no state. */
export function readState(path: string, first: number): RunState {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
    return { next: first, good: 0, failures: [] }
  }
  const state = JSON.parse(text) as Partial<RunState>
  if (typeof state.next !== 'number' || typeof state.good !== 'number' || !state.failures) {
    throw new Error(`${path} is no state of a simulation: expected next, good and failures`)
  }
  return { next: state.next, good: state.good, failures: state.failures }
}

export function writeState(path: string, state: RunState): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(state, undefined, 2)}\n`)
  renameSync(`${path}.new`, path)
}
