/** Where an image goes from its writer, and over how many links: pure, from the topology alone. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import { flow, type Naming, neighboursOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

/** A tag of its own needs no other name to be let through. */
const NAMED_BY_NOTHING: Naming = { tagsNaming: async function* () {} }

/** Nodes that the tag reaches, nearest first, each with its distance from the writer along links that let it through. */
export async function spreadOf(
  topology: Topology,
  writer: NodeName,
  item: { readonly repository: RepositoryName; readonly reference: Tag },
): Promise<ReadonlyMap<NodeName, number>> {
  const levels = new Map<NodeName, number>([[writer, 0]])
  // A map hands out what is added while it is walked: this is a breadth-first search.
  for (const [name, level] of levels) {
    for (const next of neighboursOf(topology, name)) {
      if (levels.has(next)) continue
      if (await flow(topology, name, next).passes(item, NAMED_BY_NOTHING)) {
        levels.set(next, level + 1)
      }
    }
  }
  return levels
}
