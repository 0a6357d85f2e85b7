/** Spread: to which nodes the bytes of an image come, and at what cost, when some have them. */
import type { NodeName } from '../topology/topology.ts'

/** What a node takes of an image, by platform. */
export interface Taker {
  readonly node: NodeName
  /** Nodes that may tell it and serve it. */
  readonly senders: readonly NodeName[]
  /** Comes by itself, and is shown when all of it is there. */
  readonly held: readonly string[]
  /** Is fetched when somebody asks, each platform for itself. */
  readonly asked: readonly string[]
  /** Of a step to what it holds, and to what it is asked for. */
  readonly cost: { readonly held: number; readonly asked: number }
}

export interface Arrival {
  /** Sum over the way; of several ways the least. Infinity: some step has no bound. */
  readonly cost: number
  /** Absent where it was from the beginning. */
  readonly from?: NodeName
}

/** By node, then by platform: what it can serve. */
export type Spread = ReadonlyMap<NodeName, ReadonlyMap<string, Arrival>>

/** Least fixed point: two nodes that would each fetch from the other have nothing by it. Takers near the source come first, or it takes longer. */
export function spreadOf(stocked: Spread, takers: readonly Taker[]): Spread {
  const served = new Map<NodeName, Map<string, Arrival>>()
  for (const [node, stock] of stocked) served.set(node, new Map(stock))
  const behind = new Map<NodeName, Taker[]>()
  for (const taker of takers) {
    for (const from of taker.senders) {
      const known = behind.get(from)
      if (known === undefined) behind.set(from, [taker])
      else known.push(taker)
    }
  }
  // Grows while it is walked: who stands behind one that has more now looks again.
  const waiting = new Set(takers)
  for (const taker of waiting) {
    waiting.delete(taker)
    const own = served.get(taker.node) ?? new Map<string, Arrival>()
    served.set(taker.node, own)
    let isChanged = false
    for (const [platform, arrival] of takenBy(taker, served)) {
      const before = own.get(platform)
      if (before !== undefined && before.cost <= arrival.cost) continue
      own.set(platform, arrival)
      isChanged = true
    }
    if (isChanged) for (const next of behind.get(taker.node) ?? []) waiting.add(next)
  }
  return served
}

function takenBy(
  { senders, held, asked, cost }: Taker,
  served: Spread,
): readonly (readonly [string, Arrival])[] {
  const best = (platform: string): Arrival | undefined => {
    let least: Arrival | undefined
    for (const from of senders) {
      const there = served.get(from)?.get(platform)
      if (there === undefined || (least !== undefined && there.cost >= least.cost)) continue
      least = { cost: there.cost, from }
    }
    return least
  }
  const arrivals: [string, Arrival][] = []
  const wanted = held.map((platform) => [platform, best(platform)] as const)
  if (wanted.every(([, arrival]) => arrival !== undefined)) {
    const last = Math.max(...wanted.map(([, arrival]) => arrival?.cost ?? 0))
    for (const [platform, arrival] of wanted) {
      if (arrival !== undefined) arrivals.push([platform, { ...arrival, cost: last + cost.held }])
    }
  }
  for (const platform of asked) {
    const arrival = best(platform)
    if (arrival !== undefined)
      arrivals.push([platform, { ...arrival, cost: arrival.cost + cost.asked }])
  }
  return arrivals
}
