/** What a topology rests on: nodes whose loss cuts others off, and nodes with one source alone. */
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type Question, type Reaches, reachOf } from './reach.ts'
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
      for (const [node, source] of soleSourcesIn(topology, { ...image, from }, whole, ways))
        note(soleSources, source, node)
      // Nobody else's loss can matter: without it the ways that were found are still there.
      const between = new Set([...whole.nodes.values()].flatMap(({ path }) => path.slice(1, -1)))
      for (const down of between) {
        const left = reachOf(topology, { ...image, from, down: [down] }, ways)
        for (const [node, { kind }] of whole.nodes) {
          const isCut = kind !== 'absent' && left.nodes.get(node)?.kind === 'absent'
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

function soleSourcesIn(
  topology: Topology,
  question: Question,
  { nodes, writer }: Reaches,
  ways: Ways,
): readonly (readonly [NodeName, NodeName])[] {
  return [...nodes].flatMap(([node, { kind }]) => {
    if (kind === 'absent' || node === writer) return []
    const senders = [...new Set(ways.to(node).map(({ from }) => from))]
    const having = senders.filter((from) => (nodes.get(from)?.kind ?? 'absent') !== 'absent')
    // Who has it by way of this node alone is no source for it.
    const isBehind = having.some((from) => nodes.get(from)?.path.includes(node) === true)
    const without = isBehind ? reachOf(topology, { ...question, down: [node] }, ways).nodes : nodes
    const [first, ...others] = having.filter((from) => without.get(from)?.kind !== 'absent')
    return first === undefined || others.length > 0 ? [] : [[node, first] as const]
  })
}
