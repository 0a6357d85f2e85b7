/** Which edges a change of the topology brings and takes: who sends to whom, and by which policies. */
import type { NodeName, Policy, Topology } from '../topology/topology.ts'

export interface Edge {
  readonly from: NodeName
  readonly to: NodeName
  /** Names of the policies of all links between the two in this direction. */
  readonly policies: readonly string[]
}

export interface EdgeChanges {
  readonly before: number
  readonly after: number
  readonly gained: readonly Edge[]
  readonly lost: readonly Edge[]
  /** There before and after, and letting something else through, or taken in another way. */
  readonly changed: readonly Edge[]
}

export function edgeChanges(old: Topology, next: Topology): EdgeChanges {
  const [before, after] = [edgesOf(old), edgesOf(next)]
  const gained = [...after].filter(([key]) => !before.has(key))
  const lost = [...before].filter(([key]) => !after.has(key))
  const changed = [...after].filter(([key, edge]) => {
    const known = before.get(key)
    return known !== undefined && meaningOf(known) !== meaningOf(edge)
  })
  const edges = (some: typeof gained) =>
    some.map(([, { from, to, policies }]) => ({
      from,
      to,
      policies: [...policies].map(({ name }) => name),
    }))
  return {
    before: before.size,
    after: after.size,
    gained: edges(gained),
    lost: edges(lost),
    changed: edges(changed),
  }
}

interface FullEdge {
  readonly from: NodeName
  readonly to: NodeName
  readonly policies: Set<Policy>
}

function edgesOf({ groups }: Topology): ReadonlyMap<string, FullEdge> {
  const edges = new Map<string, FullEdge>()
  for (const { senders, receivers, policies } of groups) {
    for (const from of senders) {
      for (const to of receivers) {
        if (from === to) continue
        const key = `${from} ${to}`
        const edge = edges.get(key) ?? { from, to, policies: new Set() }
        for (const policy of policies) edge.policies.add(policy)
        edges.set(key, edge)
      }
    }
  }
  return edges
}

function meaningOf({ policies }: FullEdge): string {
  const texts = [...policies].map(({ meaning, mode, platforms, schedule, priority, deletes }) =>
    JSON.stringify([meaning, mode, platforms, schedule?.text, priority, deletes]),
  )
  return texts.sort().join('\n')
}
