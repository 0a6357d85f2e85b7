/** What a topology rests on: nodes whose loss cuts others off, and nodes with one source alone. */
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type Kind, kindsOf, type Reaches, reachOf } from './reach.ts'
import { type Image, oneOfEach, type Ways, waysOf } from './ways.ts'

export interface SinglePoint {
  readonly node: NodeName
  /** Nodes that nothing new, or less, comes to while it is down. */
  readonly isolates: readonly NodeName[]
}

export interface SoleSource {
  readonly source: NodeName
  readonly nodes: readonly NodeName[]
}

export interface Risks {
  /** Those whose loss isolates most come first. */
  readonly singlePoints: readonly SinglePoint[]
  /** Nodes that get some image from one neighbour alone, by that neighbour. */
  readonly soleSources: readonly SoleSource[]
  /** The only nodes that may write some of the images. */
  readonly soleWriters: readonly NodeName[]
}

export function risksOf(topology: Topology, images: readonly Image[]): Risks {
  const isolated = new Map<NodeName, Set<NodeName>>()
  const soleSources = new Map<NodeName, Set<NodeName>>()
  const soleWriters = new Set<NodeName>()
  const note = (map: typeof isolated, key: NodeName, node: NodeName) => {
    map.set(key, (map.get(key) ?? new Set()).add(node))
  }
  for (const image of oneOfEach(topology, images)) {
    const ways = waysOf(topology, image)
    const writers = writersOf(topology, image.repository)
    const [only] = writers
    if (only !== undefined && writers.length === 1) soleWriters.add(only)
    for (const from of writers) {
      const whole = reachOf(topology, { ...image, from }, ways)
      const made = new Map<NodeName, Kinds>()
      const without = (down: NodeName) => {
        const question = { ...image, from, down: [down] }
        const kinds = made.get(down) ?? kindsOf(topology, question, ways)
        made.set(down, kinds)
        return kinds
      }
      for (const [node, source] of soleSourcesIn(whole, ways, without))
        note(soleSources, source, node)
      // Nobody else's loss can matter: without it the ways that were found are still there.
      const between = new Set([...whole.nodes.values()].flatMap(({ path }) => path.slice(1, -1)))
      for (const down of between) {
        const left = without(down)
        for (const [node, { kind }] of whole.nodes) {
          const isCut = kind !== 'absent' && left.get(node) === 'absent'
          if (isCut && node !== down) note(isolated, down, node)
        }
      }
    }
  }
  const singlePoints = [...isolated].map(([node, nodes]) => ({ node, isolates: [...nodes] }))
  return {
    singlePoints: singlePoints.sort((a, b) => b.isolates.length - a.isolates.length),
    soleSources: [...soleSources].map(([source, nodes]) => ({ source, nodes: [...nodes] })),
    soleWriters: [...soleWriters],
  }
}

type Kinds = ReadonlyMap<NodeName, Kind>

function soleSourcesIn(
  { nodes, writer }: Reaches,
  ways: Ways,
  without: (down: NodeName) => Kinds,
): readonly (readonly [NodeName, NodeName])[] {
  return [...nodes].flatMap(([node, { kind }]) => {
    if (kind === 'absent' || node === writer) return []
    const senders = [...new Set(ways.to(node).map(({ from }) => from))]
    const having = senders.filter((from) => (nodes.get(from)?.kind ?? 'absent') !== 'absent')
    // Who has it by way of this node alone is no source for it.
    const isBehind = having.some((from) => nodes.get(from)?.path.includes(node) === true)
    const left = isBehind ? without(node) : undefined
    const [first, ...others] = having.filter((from) => left?.get(from) !== 'absent')
    return first === undefined || others.length > 0 ? [] : [[node, first] as const]
  })
}
