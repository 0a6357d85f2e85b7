/** Pushes: what a node does with one, by `origins`, and at which writer it ends. */
import type { RepositoryName } from '../oci/name.ts'
import { neighboursOf } from '../topology/flow.ts'
import { distance } from '../topology/nearness.ts'
import { originOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

/** Than any distance between neighbours. */
const FURTHER = 3

export type PushEnd =
  | { readonly kind: 'accepted'; readonly at: NodeName }
  /** The nearest writer that is not down gets it; undefined: all of them are. */
  | { readonly kind: 'redirected' | 'proxied'; readonly at: NodeName | undefined }
  /** No entry of `origins` matches: there is no writer at all. */
  | { readonly kind: 'rejected'; readonly writers: readonly NodeName[] }

export function pushEnd(
  topology: Topology,
  node: NodeName,
  repository: RepositoryName,
  down: ReadonlySet<NodeName> = new Set(),
): PushEnd {
  const origin = originOf(topology, repository)
  const writers = origin?.writers ?? []
  if (writers.includes(node)) return { kind: 'accepted', at: node }
  if (origin === undefined || origin.elsewhere === 'reject') return { kind: 'rejected', writers }
  const living = writers.filter((writer) => !down.has(writer))
  const kind = origin.elsewhere === 'proxy' ? 'proxied' : 'redirected'
  return { kind, at: nearestOf(topology, node, living) }
}

/** As a running node chooses: neighbours first, then by zone, by region, by name. */
function nearestOf(
  topology: Topology,
  node: NodeName,
  writers: readonly NodeName[],
): NodeName | undefined {
  const neighbours = neighboursOf(topology, node)
  const far = (writer: NodeName) =>
    (neighbours.includes(writer) ? 0 : FURTHER) + distance(topology, node, writer)
  return [...writers].sort((a, b) => far(a) - far(b) || (a < b ? -1 : 1))[0]
}
