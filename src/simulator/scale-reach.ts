/** Who gets an image, by the topology alone, and how far from its writer; and which image goes furthest. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import { parseRepositoryName, parseTag } from '../oci/name.ts'
import { flow, type Naming } from '../topology/flow.ts'
import { sampleOf } from '../topology/glob.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

export interface Route {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly writer: NodeName
  /** Steps from the writer, which is at 0, for every node that the image reaches. */
  readonly levels: ReadonlyMap<NodeName, number>
}

/** For topologies whose policies say nothing special. */
const REPOSITORIES = ['demo/hello', 'acme/api']
const TAGS = ['latest']
/** There is no content yet that a name could stand for. */
const NOTHING_NAMED: Naming = { tagsNaming: async function* () {} }

/** The image that reaches most nodes, of those that the globs of the policies suggest; `number` makes tags differ. Undefined where none reaches any. */
export async function furthestRoute(
  topology: Topology,
  number: number,
): Promise<Route | undefined> {
  const neighbours = joinedNodes(topology)
  let best: Route | undefined
  for (const repository of repositoriesOf(topology)) {
    for (const writer of writersOf(topology, repository)) {
      for (const tag of tagsOf(topology, number)) {
        const levels = await levelsOf(topology, neighbours, { repository, tag, writer })
        if (levels.size > Math.max(1, best?.levels.size ?? 0)) {
          best = { repository, tag, writer, levels }
          if (levels.size === topology.nodes.size) return best
        }
      }
    }
  }
  return best
}

/** The route of an image from the first node that may write it. Undefined where nobody may. */
export async function routeOf(
  topology: Topology,
  repository: RepositoryName,
  tag: Tag,
): Promise<Route | undefined> {
  const [writer] = writersOf(topology, repository)
  if (writer === undefined) return undefined
  const image = { repository, tag, writer }
  return { ...image, levels: await levelsOf(topology, joinedNodes(topology), image) }
}

async function levelsOf(
  topology: Topology,
  neighbours: ReadonlyMap<NodeName, ReadonlySet<NodeName>>,
  { repository, tag, writer }: Omit<Route, 'levels'>,
): Promise<ReadonlyMap<NodeName, number>> {
  const levels = new Map<NodeName, number>([[writer, 0]])
  // Grows while it is walked: who is near comes first.
  for (const [node, level] of levels) {
    for (const next of neighbours.get(node) ?? []) {
      if (levels.has(next)) continue
      const item = { repository, reference: tag }
      if (await flow(topology, node, next).passes(item, NOTHING_NAMED)) levels.set(next, level + 1)
    }
  }
  return levels
}

/** Of each node those that a link joins it to, whatever the link's direction: a writer reads its repositories back. */
export function joinedNodes({ groups }: Topology): ReadonlyMap<NodeName, ReadonlySet<NodeName>> {
  const all = new Map<NodeName, Set<NodeName>>()
  const add = (from: NodeName, to: NodeName) => {
    const known = all.get(from) ?? new Set()
    all.set(from, known.add(to))
  }
  for (const { senders, receivers } of groups) {
    for (const from of senders) {
      for (const to of receivers) {
        if (from === to) continue
        add(from, to)
        add(to, from)
      }
    }
  }
  return all
}

function repositoriesOf({ policies }: Topology): readonly RepositoryName[] {
  const words = [...policies.values()].flatMap(({ match }) => match.repos)
  const samples = [...REPOSITORIES, ...words.map(sampleOf)]
  return [...new Set(samples)].flatMap((text) => parseRepositoryName(text) ?? [])
}

function tagsOf({ policies }: Topology, number: number): readonly Tag[] {
  const words = [...policies.values()].flatMap(({ match }) => match.include)
  const samples = [`v1.${number}.0`, ...TAGS, ...words.map(sampleOf)]
  return [...new Set(samples)].flatMap((text) => parseTag(text) ?? [])
}
