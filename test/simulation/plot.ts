/** Which faults a seed has: each kind in some of the seeds, so that others show what must hold without it. */
import type { SeededRandom } from '../../src/simulator/seeded-random.ts'

export interface Plot {
  /** Faults and pushes. */
  readonly steps: number
  /** Simulated milliseconds between two of them, at most. */
  readonly stepMs: number
  readonly dropRate: number
  readonly duplicateRate: number
  readonly maxDelayMs: number
  /** Nodes collect what nothing needs: then it may be fetched again when something does. */
  readonly collects: boolean
  /** Disks are lost and set back to a copy. */
  readonly losesDisks: boolean
  readonly fillsDisks: boolean
  /** A durable write takes up to so long, simulated milliseconds. */
  readonly slowMs: number
  readonly movesClocks: boolean
  /** Writers sign also while their clock is wrong, as programs do that have not noticed: the others must bear it. */
  readonly isClockBlind: boolean
  /** Links carry one way only. */
  readonly hasOneWay: boolean
  /** Processes die at a call of a port, before or after it took effect. */
  readonly diesAtCalls: boolean
  /** Records that nobody may have signed are handed around, and clients push where they may not. */
  readonly isAttacked: boolean
  /** Nodes take up other topologies, one by one. */
  readonly changesTopology: boolean
}

/** Share of the seeds that have a kind of fault. */
const SHARE = {
  collects: 0.4,
  losesDisks: 0.3,
  fillsDisks: 0.25,
  slow: 0.3,
  movesClocks: 0.3,
  isClockBlind: 0.5,
  hasOneWay: 0.4,
  diesAtCalls: 0.5,
  isAttacked: 0.3,
  changesTopology: 0.25,
}

export function plotOf(random: SeededRandom): Plot {
  const has = (share: number) => random.fraction() < share
  return {
    steps: 25 + random.below(20),
    stepMs: has(0.5) ? 20_000 : 3_000,
    dropRate: random.fraction() * 0.4,
    duplicateRate: 0.2,
    maxDelayMs: 5 + random.below(400),
    collects: has(SHARE.collects),
    losesDisks: has(SHARE.losesDisks),
    fillsDisks: has(SHARE.fillsDisks),
    slowMs: has(SHARE.slow) ? 1 + random.below(50) : 0,
    movesClocks: has(SHARE.movesClocks),
    hasOneWay: has(SHARE.hasOneWay),
    diesAtCalls: has(SHARE.diesAtCalls),
    isAttacked: has(SHARE.isAttacked),
    isClockBlind: has(SHARE.isClockBlind),
    changesTopology: has(SHARE.changesTopology),
  }
}

export function describePlot(plot: Plot): string {
  return Object.entries(plot)
    .filter(([, value]) => value !== false && value !== 0)
    .map(([name, value]) => {
      if (value === true) return name
      return `${name} ${typeof value === 'number' ? Math.round(value * 100) / 100 : value}`
    })
    .join(', ')
}
