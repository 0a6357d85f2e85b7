/** Compiles a checked document into a Topology: globs become matchers, selectors nodes, links groups. */
import { createHash } from 'node:crypto'
import { anyGlob } from './glob.ts'
import type { LinkDocument, TopologyDocument } from './schema.ts'
import { select } from './selector.ts'
import type { Group, NodeName, Origin, Policy, Topology, TopologyNode } from './topology.ts'

export function compile(document: TopologyDocument): Topology {
  const nodes = Object.entries(document.nodes).map(([name, node]): TopologyNode => {
    const { locality, labels, formerPeerIds, endpoint, mesh, peerId } = node
    const former = formerPeerIds.map(({ peerId, until }) => ({
      peerId,
      untilMs: Date.parse(until),
    }))
    return {
      name: name as NodeName,
      locality: locality as Readonly<Record<string, string>>,
      labels,
      formerPeerIds: former,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(mesh === undefined ? {} : { mesh }),
      ...(peerId === undefined ? {} : { peerId }),
    }
  })
  const policies = new Map(
    Object.entries(document.policies).map(([name, policy]) => [name, toPolicy(name, policy)]),
  )
  const named = (names: readonly string[]) => names.flatMap((name) => policies.get(name) ?? [])
  return {
    realm: document.metadata.name,
    generation: document.metadata.generation,
    hash: createHash('sha256').update(canonical(document)).digest('hex'),
    nodes: new Map(nodes.map((node) => [node.name, node])),
    origins: document.origins.map((origin) => toOrigin(origin, nodes)),
    policies,
    groups: document.links.flatMap((link, number) => toGroups(link, number, nodes, named)),
  }
}

function toOrigin(
  origin: TopologyDocument['origins'][number],
  nodes: readonly TopologyNode[],
): Origin {
  const writers = select(origin.writers, nodes)
  return {
    matches: anyGlob(origin.repos),
    writers,
    immutableTags: origin.conflict?.tags === 'immutable',
    keepsLosers: origin.conflict?.tags === 'register' && origin.conflict.keep !== undefined,
    meaning: canonical({
      repos: [...origin.repos].sort(),
      writers,
      conflict: origin.conflict ?? null,
    }),
  }
}

function toPolicy(
  name: string,
  { match, untagged, slo }: TopologyDocument['policies'][string],
): Policy {
  const { include, exclude } = match.tags
  const isIncluded = anyGlob(include)
  const isExcluded = anyGlob(exclude)
  return {
    name,
    matchesRepository: anyGlob(match.repos),
    matchesTag: (tag) => isIncluded(tag) && !isExcluded(tag),
    untagged,
    ...(slo === undefined ? {} : { lagObjectiveMs: slo.lag }),
    meaning: canonical({
      repos: [...match.repos].sort(),
      include: [...include].sort(),
      exclude: [...exclude].sort(),
      untagged,
    }),
  }
}

/** A link's groups; ids are the same at every node, as they follow the file. */
function toGroups(
  link: LinkDocument,
  number: number,
  nodes: readonly TopologyNode[],
  named: (names: readonly string[]) => readonly Policy[],
): readonly Group[] {
  const policies = named(link.policies)
  if (link.shape === 'mesh') {
    const members = select(link.members, nodes)
    return [{ id: String(number), senders: members, receivers: members, policies }]
  }
  const [parents, children] =
    link.shape === 'star' ? [link.center, link.leaves] : [link.parent, link.children]
  const flow = link.shape === 'star' ? link.flow : 'out'
  return select(parents, nodes).flatMap((parent): readonly Group[] => {
    const below = select(children, nodes).filter(
      (child) =>
        child !== parent && (link.shape === 'star' || isMatched(link.match, parent, child, nodes)),
    )
    const out = { id: `${number}/${parent}`, senders: [parent], receivers: below, policies }
    // One group a leaf: what it says is for its center alone, and news on a topic reaches every member.
    const into = below.map((child) => ({
      id: `${number}/${parent}/${child}`,
      senders: [child],
      receivers: [parent],
      policies,
    }))
    return [...(flow === 'in' ? [] : [out]), ...(flow === 'out' ? [] : into)]
  })
}

/** `match: region`: a parent has the children of its own region. */
function isMatched(
  key: 'region' | 'zone' | undefined,
  parent: NodeName,
  child: NodeName,
  nodes: readonly TopologyNode[],
): boolean {
  if (key === undefined) return true
  const of = (name: NodeName) => nodes.find((node) => node.name === name)?.locality[key]
  return of(parent) !== undefined && of(parent) === of(child)
}

/** JSON with sorted keys: one text for one meaning. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
