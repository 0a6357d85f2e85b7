/** Link groups and their topics: what a node joins, and which way news may go there. */
import { createHash } from 'node:crypto'
import { type Filter, groupFilter } from './flow.ts'
import type { Group, NodeName, Topology } from './topology.ts'

export interface GroupTopic {
  readonly topic: string
  readonly group: Group
  /** This node is a sending end of the link. */
  readonly sends: boolean
  /** This node is a receiving end, of another node's news. */
  readonly receives: boolean
  /** What the link lets through. */
  readonly filter: Filter
}

/** Made so far: a group never changes. */
const topics = new WeakMap<Group, string>()

/** The topics of the groups that `node` is in, each once: two links may say the same. */
export function topicsOf(topology: Topology, node: NodeName): readonly GroupTopic[] {
  const mine = topology.groups.flatMap((group) => {
    const sends = group.senders.includes(node) && group.receivers.some((other) => other !== node)
    const receives = group.receivers.includes(node) && group.senders.some((other) => other !== node)
    if (!sends && !receives) return []
    const topic = topics.get(group) ?? topicOf(topology, group)
    topics.set(group, topic)
    return [{ topic, group, sends, receives, filter: groupFilter(topology, group.policies) }]
  })
  const distinct = new Map<string, GroupTopic>()
  for (const one of mine) if (!distinct.has(one.topic)) distinct.set(one.topic, one)
  return [...distinct.values()]
}

/**
 * By what the group means, whatever its place in the file: while a topology changes, nodes that run different files meet only
 * on topics that say the same in both. A hash, so that it says nothing about the topology.
 */
function topicOf({ realm }: Topology, { senders, receivers, policies }: Group): string {
  const meanings = new Set(policies.map(({ meaning }) => meaning))
  const meaning = [realm, ...[senders, receivers, [...meanings]].map((part) => [...part].sort())]
  const name = createHash('sha256').update(JSON.stringify(meaning)).digest('hex')
  return `/entrepot/records/1/${name.slice(0, 32)}`
}
