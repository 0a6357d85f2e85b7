/** How near two nodes are by what the file says of where they stand. */
import { neighboursOf } from './flow.ts'
import type { NodeName, Topology } from './topology.ts'

/** Than any distance. */
const FURTHER = 3

/** 0: in one zone, 1: in one region, 2: elsewhere, or the file does not say. */
export function distance({ nodes }: Topology, a: NodeName, b: NodeName): 0 | 1 | 2 {
  const [here, there] = [nodes.get(a)?.locality, nodes.get(b)?.locality]
  if (here?.region !== there?.region) return 2
  if (here?.zone !== undefined && here.zone === there?.zone) return 0
  return here?.region === undefined ? 2 : 1
}

/** The order in which a node hands a push to others: neighbours first, then those of its zone, of its region, by name. */
export function nearestFirst(
  topology: Topology,
  self: NodeName,
): (a: NodeName, b: NodeName) => number {
  const neighbours = new Set(neighboursOf(topology, self))
  const far = (node: NodeName) =>
    (neighbours.has(node) ? 0 : FURTHER) + distance(topology, self, node)
  return (a, b) => far(a) - far(b) || (a < b ? -1 : 1)
}
