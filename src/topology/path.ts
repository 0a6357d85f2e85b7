/** The path of one item: the chain of links by which it comes from a writer to a node, or the links that do not let it through. */
import { groupFilter, type Item, type Naming } from './flow.ts'
import { writersOf } from './origins.ts'
import type { Group, NodeName, Policy, Topology } from './topology.ts'

/** One link of a path. */
export interface Hop {
  readonly from: NodeName
  readonly to: NodeName
  /** Names of the link's policies that let the item through; none = this link filters it out. */
  readonly passing: readonly string[]
  /** The others, with what about the item they do not match. */
  readonly filtering: readonly { readonly policy: string; readonly by: 'repository' | 'tag' }[]
}

export type Path =
  /** The node may write it: nobody has to bring it. */
  | { readonly kind: 'writer' }
  | { readonly kind: 'open'; readonly hops: readonly Hop[] }
  /** There are links, and on each way at least one that filters it out; this way has the fewest of them. */
  | { readonly kind: 'filtered'; readonly hops: readonly Hop[] }
  /** No chain of links leads from a writer to the node. */
  | { readonly kind: 'no-path'; readonly writers: readonly NodeName[] }
  /** No entry of `origins` matches the repository, or its writers are nodes that are not there. */
  | { readonly kind: 'no-writer' }

interface Step {
  readonly from: NodeName
  readonly group: Group
}

/** The way that passes most freely, and of those a short one. */
export async function pathTo(
  topology: Topology,
  node: NodeName,
  item: Item,
  naming: Naming,
): Promise<Path> {
  const writers = writersOf(topology, item.repository)
  if (writers.length === 0) return { kind: 'no-writer' }
  if (writers.includes(node)) return { kind: 'writer' }
  const isOpen = new Map<Group, boolean>()
  for (const group of topology.groups) {
    isOpen.set(group, await groupFilter(topology, group.policies).passes(item, naming))
  }
  const steps = search(topology, writers, node, (group) => isOpen.get(group) === true)
  if (steps === undefined) return { kind: 'no-path', writers }
  const hops: Hop[] = []
  for (let at = node; ; ) {
    const step = steps.get(at)
    if (step === undefined) break
    hops.unshift(await hopOf(topology, step, at, item, naming))
    at = step.from
  }
  const kind = hops.every(({ passing }) => passing.length > 0) ? 'open' : 'filtered'
  return { kind, hops }
}

/** The links that end at the node, each with what it lets through of the item. */
export async function linksTo(
  topology: Topology,
  node: NodeName,
  item: Item,
  naming: Naming,
): Promise<readonly Hop[]> {
  const hops: Hop[] = []
  for (const group of topology.groups) {
    if (!group.receivers.includes(node)) continue
    for (const from of group.senders) {
      if (from !== node) hops.push(await hopOf(topology, { from, group }, node, item, naming))
    }
  }
  return hops
}

/** Breadth first, over links that are open before those that filter; undefined when the node is not reached. */
function search(
  topology: Topology,
  writers: readonly NodeName[],
  node: NodeName,
  isOpen: (group: Group) => boolean,
): ReadonlyMap<NodeName, Step> | undefined {
  const steps = new Map<NodeName, Step>()
  const done = new Set<NodeName>()
  let layer: (readonly [NodeName, Step | undefined])[] = writers.map((one) => [one, undefined])
  while (layer.length > 0) {
    const filtered: (readonly [NodeName, Step])[] = []
    // Grows while it is walked: an open link costs nothing, so what it reaches belongs to this layer.
    for (const [at, step] of layer) {
      if (done.has(at)) continue
      done.add(at)
      if (step !== undefined) steps.set(at, step)
      if (at === node) return steps
      for (const group of topology.groups) {
        if (!group.senders.includes(at)) continue
        const next = isOpen(group) ? layer : filtered
        for (const to of group.receivers) if (!done.has(to)) next.push([to, { from: at, group }])
      }
    }
    layer = filtered
  }
  return undefined
}

async function hopOf(
  topology: Topology,
  { from, group }: Step,
  to: NodeName,
  item: Item,
  naming: Naming,
): Promise<Hop> {
  const passing: string[] = []
  const filtering: { policy: string; by: 'repository' | 'tag' }[] = []
  for (const policy of group.policies) {
    if (await policyPasses(topology, policy, item, naming)) passing.push(policy.name)
    else {
      const by = policy.matchesRepository(item.repository) ? 'tag' : 'repository'
      filtering.push({ policy: policy.name, by })
    }
  }
  return { from, to, passing, filtering }
}

function policyPasses(
  topology: Topology,
  policy: Policy,
  item: Item,
  naming: Naming,
): Promise<boolean> {
  return groupFilter(topology, [policy]).passes(item, naming)
}
