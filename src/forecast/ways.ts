/** Ways: over which links the news of one tag goes from node to node, each node with what it does with it. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import { type Demand, unite } from '../topology/demand.ts'
import { policiesTo } from '../topology/flow.ts'
import { linkNumber } from '../topology/links.ts'
import { writersOf } from '../topology/origins.ts'
import { limitsInto } from '../topology/rates.ts'
import type { NodeName, Policy, Topology } from '../topology/topology.ts'

export interface Image {
  readonly repository: RepositoryName
  readonly tag: Tag
}

/** One link from a node that may tell this one. */
export interface Way {
  readonly from: NodeName
  /** Place of the link in the file, from 0. */
  readonly link: number
  /** Of the link's policies those that let the image through; none where a writer reads back against the link's direction. */
  readonly policies: readonly Policy[]
  /** Its bandwidth is 0 at every hour: news goes, bytes never do. */
  readonly isShut: boolean
}

export interface Ways {
  /** Links by which the node hears of the image, in the order of the file. */
  to(node: NodeName): readonly Way[]
  /** Nodes that hear of it by this one. */
  from(node: NodeName): Iterable<NodeName>
  /** What the node does once it has heard of it; undefined: no link lets it through and the node may not write it. */
  demand(node: NodeName): Demand | undefined
}

/** By its tag alone: what names of other manifests add, as a signature's, is left out. */
export function waysOf(topology: Topology, image: Image): Ways {
  const writers = new Set(writersOf(topology, image.repository))
  const all = new Map<NodeName, Way[]>()
  const hearing = new Map<NodeName, Set<NodeName>>()
  const demands = new Map<NodeName, Demand | undefined>()
  const isShut = shutPairs(topology)
  const add = (to: NodeName, from: NodeName, link: number, policies: readonly Policy[]) => {
    const way = { from, link, policies, isShut: isShut(from, to) }
    const known = all.get(to)
    if (known === undefined) all.set(to, [way])
    else known.push(way)
    hearing.set(from, (hearing.get(from) ?? new Set()).add(to))
  }

  for (const group of topology.groups) {
    const link = linkNumber(group)
    const policies = group.policies.filter((policy) => lets(policy, image))
    const isOpen = policies.length > 0
    for (const to of group.receivers) {
      for (const from of group.senders) {
        if (from === to) continue
        if (isOpen || writers.has(to)) add(to, from, link, policies)
        if (writers.has(from)) add(from, to, link, [])
      }
    }
  }
  return {
    to: (node) => all.get(node) ?? [],
    from: (node) => hearing.get(node) ?? [],
    demand: (node) => {
      if (!demands.has(node)) demands.set(node, demandOf(topology, node, image))
      return demands.get(node)
    },
  }
}

/** Nearly no file has a bandwidth of 0: then nothing is looked up. */
function shutPairs(topology: Topology): (from: NodeName, to: NodeName) => boolean {
  const hasZero = topology.groups.some(({ rates, back }) =>
    [...rates, ...back].some(({ bitsPerSecond }) => bitsPerSecond === 0),
  )
  if (!hasZero) return () => false
  const limits = new Map<NodeName, ReturnType<typeof limitsInto>>()
  return (from, to) => {
    const into = limits.get(to) ?? limitsInto(topology, to)
    limits.set(to, into)
    // Calendars come round every week: when does not matter.
    return into.get(from)?.opensAt(0) === Number.POSITIVE_INFINITY
  }
}

/** What `demandsOf` says of a tag: over all links to the node, whichever of them brought the news. */
function demandOf(topology: Topology, node: NodeName, image: Image): Demand | undefined {
  const isWriter = writersOf(topology, image.repository).includes(node)
  const policies = [...new Set(policiesTo(topology, node))].filter((policy) => lets(policy, image))
  if (policies.length === 0 && !isWriter) return undefined
  const { windows, ...demand } = unite(policies)
  if (isWriter) return { ...demand, held: 'all' }
  return { ...demand, ...(windows === undefined ? {} : { windows }) }
}

/** Images of one class go the same ways to the same ends. */
export function classOf(topology: Topology, image: Image): string {
  const origin = topology.origins.findIndex((one) => one.matches(image.repository))
  const policies = [...topology.policies.values()].filter((policy) => lets(policy, image))
  return JSON.stringify([origin, ...policies.map(({ name }) => name)])
}

/** One image of each class, in their order. */
export function oneOfEach<T extends Image>(topology: Topology, images: readonly T[]): readonly T[] {
  const classes = new Map<string, T>()
  for (const image of images) {
    const key = classOf(topology, image)
    if (!classes.has(key)) classes.set(key, image)
  }
  return [...classes.values()]
}

export function lets(policy: Policy, { repository, tag }: Image): boolean {
  return policy.matchesRepository(repository) && policy.matchesTag(tag)
}
