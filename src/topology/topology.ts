/** The words of a topology: who is there, who may write, what flows where. Immutable; made by `topology-file.ts`. */
import type { RepositoryName, Tag } from '../oci/name.ts'

export type NodeName = string & { readonly __brand: 'NodeName' }

export interface Topology {
  /** `metadata.name`: never changes during the life of a mesh; every record carries it. */
  readonly realm: string
  readonly generation: number
  /** sha256 (hex) over the meaning of the file: equal at every node that runs the same topology, comments aside. */
  readonly hash: string
  readonly nodes: ReadonlyMap<NodeName, TopologyNode>
  /** In file order: of overlapping ones the first match holds. */
  readonly origins: readonly Origin[]
  readonly policies: ReadonlyMap<string, Policy>
  /** Links as declared, each expanded to its groups. */
  readonly groups: readonly Group[]
}

export interface TopologyNode {
  readonly name: NodeName
  readonly locality: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  /** Base URL of the registry API, without a trailing slash. */
  readonly endpoint?: string
  /** libp2p multiaddr without /p2p. */
  readonly mesh?: string
  /** Text form; `record/peer-id.ts` reads it. */
  readonly peerId?: string
  readonly formerPeerIds: readonly FormerPeerId[]
}

/** A key that was replaced: records it signed up to `untilMs` keep their rights, later ones have none. */
export interface FormerPeerId {
  readonly peerId: string
  /** Milliseconds since the Unix epoch. */
  readonly untilMs: number
}

export interface Origin {
  matches(repository: RepositoryName): boolean
  readonly writers: readonly NodeName[]
  /** A tag that exists may not be moved. */
  readonly immutableTags: boolean
  /** Who holds a tag also holds what lost it in a concurrent push, under a tag of its own. */
  readonly keepsLosers: boolean
  /** Canonical text of what the file says: for hashes. */
  readonly meaning: string
}

export interface Policy {
  readonly name: string
  matchesRepository(repository: RepositoryName): boolean
  matchesTag(tag: Tag): boolean
  /** Manifests pushed by digest, without subject, flow too. */
  readonly untagged: boolean
  /** What it lets through shall be at each receiver so soon, milliseconds; undefined where the file says nothing. */
  readonly lagObjectiveMs?: number
  /** Canonical text of what it lets through: for hashes. */
  readonly meaning: string
}

/**
 * One link group: a star or tree parent with its children, or the members of a mesh. Every sender sends to every
 * receiver but itself; one gossip topic a group.
 */
export interface Group {
  /**
   * Unique in the topology and equal at every node: link number and, but for a mesh, parent name (`0/hub`); then the
   * child's, where it sends to its parent (`0/hub/leaf`).
   */
  readonly id: string
  readonly senders: readonly NodeName[]
  readonly receivers: readonly NodeName[]
  readonly policies: readonly Policy[]
}
