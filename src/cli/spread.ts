/** Where an image goes from its writer, and over how many links: pure, from the topology alone. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import { flow, type Naming, neighboursOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

/** A tag of its own needs no other name to be let through. */
const NAMED_BY_NOTHING: Naming = { tagsNaming: async function* () {} }

/**
 * Nodes that the tag reaches, each with its distance from the writer along links that let it through. In the order of a tree: each
 * node comes after the one that it hears of it first, before that one's next.
 */
export async function spreadOf(
  topology: Topology,
  writer: NodeName,
  item: { readonly repository: RepositoryName; readonly reference: Tag },
): Promise<ReadonlyMap<NodeName, number>> {
  const levels = new Map<NodeName, number>([[writer, 0]])
  const below = new Map<NodeName, NodeName[]>()
  // A map hands out what is added while it is walked: this is a breadth-first search.
  for (const [name, level] of levels) {
    for (const next of neighboursOf(topology, name)) {
      if (levels.has(next)) continue
      if (await flow(topology, name, next).passes(item, NAMED_BY_NOTHING)) {
        levels.set(next, level + 1)
        below.set(name, [...(below.get(name) ?? []), next])
      }
    }
  }
  const walk = (name: NodeName): NodeName[] => [name, ...(below.get(name) ?? []).flatMap(walk)]
  return new Map(walk(writer).map((name) => [name, levels.get(name) ?? 0]))
}
