/** A topology of as many nodes as wanted: those of the file, and copies of the ones that only belong to a link. */
import { createHash } from 'node:crypto'
import { EntrepotError } from '../lib/errors.ts'
import { type Identity, identityFromSeed } from '../record/identity.ts'
import type { Group, NodeName, Topology, TopologyNode } from '../topology/topology.ts'

export interface ScaledTopology {
  readonly topology: Topology
  /** Nodes of the file that were repeated. */
  readonly repeated: readonly NodeName[]
  /** Copies, in the order in which they were made. */
  readonly copies: readonly NodeName[]
  readonly identities: ReadonlyMap<NodeName, Identity>
}

/** DNS label. */
const MAX_NAME = 63

/**
 * Repeats leaves of stars, children of trees and members of meshes in turn, under names with a number behind, until there are `count` nodes.
 * A copy has the labels, the locality and the links of its original, but writes nothing. Nodes that others hang below stay single.
 * @throws CONFIG_INVALID for fewer nodes than there are, and where no node can be repeated
 */
export function scaleTopology(topology: Topology, count: number): ScaledTopology {
  const names = [...topology.nodes.keys()]
  if (count < names.length) {
    throw new EntrepotError(
      'CONFIG_INVALID',
      `--nodes must be at least ${names.length}, as many as the file has; got ${count}`,
    )
  }
  const repeatable = repeatableOf(topology)
  if (count > names.length && repeatable.length === 0) {
    throw new EntrepotError(
      'CONFIG_INVALID',
      `--nodes ${count} needs nodes to repeat: leaves of a star, children of a tree or members of a mesh that are no center or parent; the file has none`,
    )
  }
  const copiesOf = new Map<NodeName, NodeName[]>()
  const taken = new Set<string>(names)
  const copies = Array.from({ length: count - names.length }, (_, at) => {
    const original = repeatable[at % repeatable.length] as NodeName
    const copy = nameOf(original, Math.floor(at / repeatable.length) + 2, taken)
    copiesOf.set(original, [...(copiesOf.get(original) ?? []), copy])
    return copy
  })
  const identities = new Map([...names, ...copies].map((name) => [name, identityOf(name)]))
  const nodes = new Map<NodeName, TopologyNode>()
  const add = (name: NodeName, like: TopologyNode) =>
    nodes.set(name, {
      ...like,
      name,
      endpoint: `http://${name}`,
      mesh: `/dns4/${name}/tcp/4001`,
      formerPeerIds: [],
      peerId: identities.get(name)?.peerId ?? '',
    })
  for (const node of topology.nodes.values()) {
    add(node.name, node)
    for (const copy of copiesOf.get(node.name) ?? []) add(copy, node)
  }
  const hash = createHash('sha256').update(`${topology.hash} ${count}`).digest('hex')
  const groups = topology.groups.flatMap((group) => scaleGroup(group, copiesOf))
  return {
    topology: { ...topology, hash, nodes, groups },
    repeated: repeatable,
    copies,
    identities,
  }
}

/** Nodes that no other hangs below: by no link do they send to nodes that do not send back, nor do several send to them alone. */
function repeatableOf({ nodes, groups }: Topology): readonly NodeName[] {
  const ends = new Set<NodeName>()
  const single = new Set<NodeName>()
  for (const group of groups) {
    const { senders, receivers } = group
    for (const node of [...senders, ...receivers]) ends.add(node)
    const kind = kindOf(group)
    if (kind === 'out') for (const node of senders) single.add(node)
    if (kind === 'in') for (const node of receivers) single.add(node)
  }
  return [...nodes.keys()].filter((name) => ends.has(name) && !single.has(name))
}

/** `out`: a center or parent and those below it; `in`: one leaf and its center. */
function kindOf({ id }: Group): 'mesh' | 'out' | 'in' {
  const parts = id.split('/').length
  if (parts === 1) return 'mesh'
  return parts === 2 ? 'out' : 'in'
}

function scaleGroup(group: Group, copiesOf: ReadonlyMap<NodeName, readonly NodeName[]>): Group[] {
  const withCopies = (names: readonly NodeName[]) =>
    names.flatMap((name) => [name, ...(copiesOf.get(name) ?? [])])
  const { id, senders, receivers } = group
  const kind = kindOf(group)
  if (kind === 'mesh') {
    return [{ ...group, senders: withCopies(senders), receivers: withCopies(receivers) }]
  }
  if (kind === 'out') return [{ ...group, receivers: withCopies(receivers) }]
  const center = id.slice(0, id.lastIndexOf('/'))
  return withCopies(senders).map((leaf) => ({ ...group, id: `${center}/${leaf}`, senders: [leaf] }))
}

/** `shop-2`; where a node is called so already, `shop-2x`. */
function nameOf(original: NodeName, number: number, taken: Set<string>): NodeName {
  let end = `-${number}`
  const name = () => `${original.slice(0, MAX_NAME - end.length)}${end}`
  while (taken.has(name())) end += 'x'
  taken.add(name())
  return name() as NodeName
}

function identityOf(name: NodeName): Identity {
  return identityFromSeed(createHash('sha256').update(`simulated node ${name}`).digest())
}
