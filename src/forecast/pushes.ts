/** Pushes: what a node does with one, by `origins`, and at which writer it ends. */
import type { RepositoryName } from '../oci/name.ts'
import { nearestFirst } from '../topology/nearness.ts'
import { originOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

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
  const [nearest] = living.toSorted(nearestFirst(topology, node))
  return { kind, at: nearest }
}
