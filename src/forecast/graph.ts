/** The graph of a topology: nodes by level, links as people drew them. What the formats print. */
import { linkNumber } from '../topology/links.ts'
import type { Group, NodeName, Policy, Topology } from '../topology/topology.ts'

export interface Graph {
  readonly realm: string
  readonly generation: number
  /** In the order of levels, then of the file. */
  readonly nodes: readonly GraphNode[]
  readonly links: readonly GraphLink[]
}

export interface GraphNode {
  readonly name: NodeName
  /** Links from the nearest writer, along the direction in which they send; who is not reached stands below all others. */
  readonly level: number
  /** Globs of the repositories that it may write. */
  readonly writes: readonly string[]
}

export interface GraphLink {
  /** Place in the file, from 0. */
  readonly number: number
  /** `mesh`: each with each other; `ring`: each with the next; `arrows`: from some to others. */
  readonly kind: 'mesh' | 'ring' | 'arrows'
  /** Of a mesh or ring, in its order. */
  readonly members: readonly NodeName[]
  readonly policies: readonly Policy[]
  /** One direction each. */
  readonly edges: readonly GraphEdge[]
}

export interface GraphEdge {
  readonly from: NodeName
  readonly to: NodeName
}

export function graphOf(topology: Topology): Graph {
  const links = linksOf(topology)
  const levels = levelsOf(topology, links)
  const nodes = [...topology.nodes.keys()].map((name) => ({
    name,
    level: levels.get(name) ?? 0,
    writes: topology.origins.flatMap(({ writers, repos }) => (writers.includes(name) ? repos : [])),
  }))
  return {
    realm: topology.realm,
    generation: topology.generation,
    nodes: nodes.sort((a, b) => a.level - b.level),
    links,
  }
}

function linksOf({ groups }: Topology): readonly GraphLink[] {
  const byNumber = new Map<number, Group[]>()
  for (const group of groups) {
    const number = linkNumber(group)
    byNumber.set(number, [...(byNumber.get(number) ?? []), group])
  }
  return [...byNumber].map(([number, some]) => {
    const edges = some.flatMap(({ senders, receivers }) =>
      senders.flatMap((from) => receivers.flatMap((to) => (from === to ? [] : [{ from, to }]))),
    )
    const isMesh = some.some(({ id }) => !id.includes('/'))
    const kind = isMesh ? 'mesh' : isRing(some) ? 'ring' : 'arrows'
    const members = kind === 'arrows' ? [] : [...new Set(edges.map(({ from }) => from))]
    return { number, kind, members, policies: some[0]?.policies ?? [], edges }
  })
}

/** Each way between two members of a ring is a group of its own, named after both in that order. */
function isRing(groups: readonly Group[]): boolean {
  return groups.every(
    ({ id, senders, receivers }) =>
      senders.length === 1 &&
      receivers.length === 1 &&
      id.endsWith(`/${senders[0]}/${receivers[0]}`),
  )
}

function levelsOf(topology: Topology, links: readonly GraphLink[]): ReadonlyMap<NodeName, number> {
  const next = new Map<NodeName, NodeName[]>()
  for (const { from, to } of links.flatMap(({ edges }) => edges)) {
    const known = next.get(from)
    if (known === undefined) next.set(from, [to])
    else known.push(to)
  }
  const writers = new Set(topology.origins.flatMap((origin) => origin.writers))
  const levels = new Map([...writers].map((name) => [name, 0]))
  // Grows while it is walked: breadth first.
  for (const [name, level] of levels) {
    for (const to of next.get(name) ?? []) if (!levels.has(to)) levels.set(to, level + 1)
  }
  const below = Math.max(0, ...levels.values()) + 1
  for (const name of topology.nodes.keys()) if (!levels.has(name)) levels.set(name, below)
  return levels
}

/** Edges of several links between the same two nodes, and both directions, as one. */
export interface Joint {
  readonly a: NodeName
  readonly b: NodeName
  /** `both` only where the same links lead both ways. */
  readonly isBothWays: boolean
  readonly links: readonly GraphLink[]
}

/** In the order of the links. */
export function jointsOf({ links }: Pick<Graph, 'links'>): readonly Joint[] {
  const ways = new Map<string, { edge: GraphEdge; links: GraphLink[] }>()
  for (const link of links) {
    for (const edge of link.edges) {
      const key = `${edge.from} ${edge.to}`
      const known = ways.get(key)
      if (known === undefined) ways.set(key, { edge, links: [link] })
      else known.links.push(link)
    }
  }
  const done = new Set<string>()
  const joints: Joint[] = []
  for (const [key, { edge, links: some }] of ways) {
    if (done.has(key)) continue
    const reverse = `${edge.to} ${edge.from}`
    const back = ways.get(reverse)?.links ?? []
    const isBothWays = back.length === some.length && back.every((link) => some.includes(link))
    if (isBothWays) done.add(reverse)
    joints.push({ a: edge.from, b: edge.to, isBothWays, links: some })
  }
  return joints
}

/** Whether everything that it brings comes by itself and at once. */
export function isEager({ policies }: Pick<GraphLink, 'policies'>): boolean {
  return policies.every(({ mode }) => mode === 'eager')
}

export function policyNames(links: readonly Pick<GraphLink, 'policies'>[]): string {
  const names = links.flatMap(({ policies }) => policies.map(({ name }) => name))
  return [...new Set(names)].join(', ')
}

/** One policy in words: `eager, pos/**, tags >=3.0.0 <4.0.0 without *-rc*, linux/amd64`. */
export function policyText({ mode, match, platforms }: Policy): string {
  const { repos, semver, include, exclude } = match
  const tags = [
    ...(semver === undefined ? [] : [semver]),
    ...(include.length === 1 && include[0] === '*' ? [] : [include.join(' ') || 'none']),
    ...(exclude.length === 0 ? [] : [`without ${exclude.join(' ')}`]),
  ].join(' ')
  return [
    mode,
    repos.join(' '),
    ...(tags === '' ? [] : [`tags ${tags}`]),
    ...(platforms === 'all' ? [] : [platforms.join(' ')]),
  ].join(', ')
}
