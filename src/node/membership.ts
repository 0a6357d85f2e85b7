/** What a topology says of this very node, and who may connect to it. */
import { isInTopology } from '../topology/own-names.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { readTopology } from '../topology/topology-file.ts'
import type { NodeConfig } from './config.ts'
import type { KeptTopology } from './topology-files.ts'

export interface Membership {
  /** Why this node is no part of the topology; undefined where it is. */
  readonly outside: string | undefined
  /** Whether a peer belongs to the same mesh by this topology. */
  readonly isMember: (peerId: string) => boolean
  /** Whether it may connect: also those of former topologies, to be told of this one, or to tell of a newer one. */
  readonly isAllowed: (peerId: string) => boolean
  /** Whose addresses are dialled: its neighbours; of a node that is outside, those of the last topology that it was in. */
  readonly contacts: Topology
}

export interface OwnName {
  readonly self: NodeName
  readonly peerId: string
}

export function membershipOf(
  topology: Topology,
  own: OwnName,
  former: readonly KeptTopology[],
): Membership {
  const outside = whyOutside(topology, own)
  const isIn = isInTopology(topology)
  const formerPeers = new Set(former.flatMap(({ peerIds }) => peerIds))
  return {
    outside,
    isMember: outside === undefined ? isIn : () => false,
    isAllowed: (peerId) => isIn(peerId) || formerPeers.has(peerId),
    contacts: outside === undefined ? topology : (lastWith(own, former) ?? topology),
  }
}

function whyOutside(topology: Topology, { self, peerId }: OwnName): string | undefined {
  const node = topology.nodes.get(self)
  const { generation } = topology
  if (node === undefined) return `node ${self} is not in generation ${generation} of the topology`
  if (node.peerId === peerId) return undefined
  return `generation ${generation} of the topology gives node ${self} another key: restart it with that one`
}

function lastWith(own: OwnName, former: readonly KeptTopology[]): Topology | undefined {
  for (const { text, peerIds } of [...former].reverse()) {
    if (!peerIds.includes(own.peerId)) continue
    const { topology } = readTopology(text)
    if (topology !== undefined && whyOutside(topology, own) === undefined) return topology
  }
  return undefined
}

/** Why a node with this configuration cannot run the topology; undefined where it can. */
export function whyUnfit(
  { node: self, tls }: Pick<NodeConfig, 'node' | 'tls'>,
  topology: Topology,
): string | undefined {
  const { endpoint } = topology.nodes.get(self) ?? {}
  if (tls !== undefined && endpoint?.startsWith('http:') === true) {
    return `node ${self} speaks TLS, but its endpoint in the file is ${endpoint}; write endpoint: ${endpoint.replace('http:', 'https:')}`
  }
  for (const { senders, receivers } of topology.groups) {
    for (const sender of senders) {
      const concerns = sender === self || receivers.includes(self)
      const isNeeded = receivers.some((receiver) => receiver !== sender)
      if (!concerns || !isNeeded || topology.nodes.get(sender)?.endpoint !== undefined) continue
      return `node ${sender} sends to others but has no endpoint in the topology; add endpoint: http://HOST:PORT`
    }
  }
  return undefined
}

/** Why this very node would be a stranger to all others; undefined where it has a key there, or is taken out. */
export function whyKeyless({ self, peerId }: OwnName, { nodes }: Topology): string | undefined {
  const node = nodes.get(self)
  if (node === undefined || node.peerId !== undefined) return undefined
  return `the file gives node ${self} no peerId; write there: peerId: ${peerId}`
}

/** What a running node does not follow: where it listens. Undefined where the next topology says the same of it. */
export function whyRestart(self: NodeName, before: Topology, next: Topology): string | undefined {
  const [old, now] = [before.nodes.get(self), next.nodes.get(self)]
  if (old === undefined || now === undefined) return undefined
  if (old.endpoint === now.endpoint && old.mesh === now.mesh) return undefined
  return `node ${self} has another endpoint or mesh address in generation ${next.generation}, but goes on listening where it does: restart it, unless it is reached there already`
}
