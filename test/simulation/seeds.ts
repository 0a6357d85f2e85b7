/** One seed: which topology it runs is part of it. */
import { simulatedTopologies } from './topologies.ts'
import { runWorld } from './world.ts'

export interface SeedOutcome {
  readonly realm: string
  /** Undefined when every promise held. */
  readonly error?: string
  readonly trace: readonly string[]
}

const topologies = simulatedTopologies()

export async function runSeed(seed: number): Promise<SeedOutcome> {
  const topology = topologies[seed % topologies.length]
  if (topology === undefined) throw new Error('no topologies')
  const trace: string[] = []
  try {
    // Every second seed of a topology.
    const collects = Math.floor(seed / topologies.length) % 2 === 1
    await runWorld(seed, topology, { trace, collects })
    return { realm: topology.realm, trace }
  } catch (err) {
    return {
      realm: topology.realm,
      trace,
      error: err instanceof Error ? `${err.message}` : String(err),
    }
  }
}
