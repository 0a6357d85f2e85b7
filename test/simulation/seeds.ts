/** One seed: which topology it runs is part of it. */
import type { Plot } from './plot.ts'
import { runWorld } from './run-world.ts'
import { guardedTopology, simulatedTopologies } from './topologies.ts'

export interface SeedOutcome {
  readonly seed: number
  readonly realm: string
  /** Undefined when every promise held. */
  readonly error?: string
  readonly story: readonly string[]
}

/** What a seed has whatever it would choose; by the name of a topology, only that one. */
export interface Choice extends Partial<Plot> {
  readonly realm?: string
}

const topologies = simulatedTopologies()
/** Run where they are asked for. */
const named = [...topologies, guardedTopology()]

export async function runSeed(
  seed: number,
  { realm: only, ...faults }: Choice = {},
): Promise<SeedOutcome> {
  const candidates = only === undefined ? topologies : named.filter(({ realm }) => realm === only)
  const topology = candidates[seed % candidates.length]
  if (topology === undefined) throw new Error(`no topology ${only}`)
  const story: string[] = []
  const { realm } = topology
  try {
    await runWorld({ seed, topology, story, faults })
    return { seed, realm, story }
  } catch (err) {
    return { seed, realm, story, error: err instanceof Error ? err.message : String(err) }
  }
}
