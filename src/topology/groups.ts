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

/** The topics of the groups that `node` is in. The name is a hash, so that it says nothing about the topology. */
export function topicsOf(topology: Topology, node: NodeName): readonly GroupTopic[] {
  return topology.groups.flatMap((group) => {
    const sends = group.senders.includes(node) && group.receivers.some((other) => other !== node)
    const receives = group.receivers.includes(node) && group.senders.some((other) => other !== node)
    if (!sends && !receives) return []
    const name = createHash('sha256').update(`${topology.realm}\0${group.id}`).digest('hex')
    const topic = `/entrepot/records/1/${name.slice(0, 32)}`
    return [{ topic, group, sends, receives, filter: groupFilter(topology, group.policies) }]
  })
}
