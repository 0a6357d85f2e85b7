/** How near two nodes are by what the file says of where they stand. */
import type { NodeName, Topology } from './topology.ts'

/** 0: in one zone, 1: in one region, 2: elsewhere, or the file does not say. */
export function distance({ nodes }: Topology, a: NodeName, b: NodeName): 0 | 1 | 2 {
  const [here, there] = [nodes.get(a)?.locality, nodes.get(b)?.locality]
  if (here?.region !== there?.region) return 2
  if (here?.zone !== undefined && here.zone === there?.zone) return 0
  return here?.region === undefined ? 2 : 1
}
