/** Takers: who hears of a push, by whom, and what each of those nodes takes of the image, while some nodes are down. */
import type { Demand } from '../topology/demand.ts'
import { hasPlatform } from '../topology/platforms.ts'
import type { NodeName, Platforms, Topology } from '../topology/topology.ts'
import { delayOf } from './latency.ts'
import type { Taker } from './spread.ts'
import type { Ways } from './ways.ts'

export interface Push {
  /** The writer that accepted it. */
  readonly writer: NodeName
  readonly isUp: (node: NodeName) => boolean
}

/** Who has heard of it: by whom first, along the fewest links; undefined for the writer. Nearest first. */
export type Told = ReadonlyMap<NodeName, NodeName | undefined>

export interface Take {
  readonly held: readonly string[]
  readonly onRequest: readonly string[]
  readonly onWord: readonly string[]
  /** To hold it at worst, milliseconds; undefined: no policy says. */
  readonly delayMs: number | undefined
  /** Its windows never open, so it never holds what it would. */
  readonly isNever: boolean
}

/** Stands for every platform that no policy names: who takes all takes it, nobody else does. */
const ANOTHER = 'another platform'

/** Platforms by which the policies of this topology tell images apart, and the one that was asked for. */
export function platformsIn({ policies }: Topology, asked: string | undefined): readonly string[] {
  const named = [...policies.values()].flatMap(({ platforms }) =>
    platforms === 'all' ? [] : platforms,
  )
  return [...new Set([...named, ...(asked === undefined ? [] : [asked]), ANOTHER])]
}

/** A node passes news on whatever it does with the content itself. */
export function toldOf(ways: Ways, { writer, isUp }: Push): Told {
  const told = new Map<NodeName, NodeName | undefined>()
  if (!isUp(writer)) return told
  told.set(writer, undefined)
  for (let layer: readonly NodeName[] = [writer]; layer.length > 0; ) {
    const hearing = new Set(layer.flatMap((from) => [...ways.from(from)]))
    const next = [...hearing].flatMap((node) => {
      const way = ways.to(node).find(({ from }) => told.has(from))
      return told.has(node) || !isUp(node) || way === undefined ? [] : [[node, way.from] as const]
    })
    // Those of one layer do not tell each other.
    for (const [node, from] of next) told.set(node, from)
    layer = next.map(([node]) => node)
  }
  return told
}

export function takeOf(
  topology: Topology,
  node: NodeName,
  demand: Demand | undefined,
  platforms: readonly string[],
): Take {
  const { held, onRequest, onWord } = demand ?? {}
  const timeZone = topology.nodes.get(node)?.timeZone ?? 'UTC'
  const delayMs = demand === undefined ? undefined : delayOf(demand, timeZone)
  const isNever = delayMs === Number.POSITIVE_INFINITY
  const of = (set: Platforms | undefined, ...others: readonly (readonly string[])[]) =>
    platforms.filter(
      (one) =>
        set !== undefined && hasPlatform(set, one) && !others.some((other) => other.includes(one)),
    )
  const byItself = isNever ? [] : of(held)
  const asked = of(onRequest, byItself)
  return {
    held: byItself,
    onRequest: asked,
    onWord: of(onWord, byItself, asked),
    delayMs,
    isNever,
  }
}

/** What a step costs: a link each, or time. */
export type Measure = 'links' | 'time'

export function takerOf(
  node: NodeName,
  { held, onRequest, onWord, delayMs }: Take,
  senders: readonly NodeName[],
  { measure, withWords }: { readonly measure: Measure; readonly withWords: boolean },
): Taker {
  const cost =
    measure === 'links'
      ? { held: 1, asked: 1 }
      : { held: delayMs ?? Number.POSITIVE_INFINITY, asked: 0 }
  return { node, senders, held, asked: withWords ? [...onRequest, ...onWord] : onRequest, cost }
}
