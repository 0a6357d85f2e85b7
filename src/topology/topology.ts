/** The words of a topology: who is there, who may write, what flows where. Immutable; made by `topology-file.ts`. */
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Calendar } from './calendar.ts'
import type { Schedule } from './schedule.ts'
import type { PolicyDocument, TestDocument } from './schema.ts'

export type NodeName = string & { readonly __brand: 'NodeName' }

export interface Topology {
  /** `metadata.name`: never changes during the life of a mesh; every record carries it. */
  readonly realm: string
  readonly generation: number
  /** Public key (as a peer id) of who may change the topology of running nodes. */
  readonly owner?: string
  /** sha256 (hex) over the meaning of the file: equal at every node that runs the same topology, comments aside. */
  readonly hash: string
  readonly nodes: ReadonlyMap<NodeName, TopologyNode>
  /** In file order: of overlapping ones the first match holds. */
  readonly origins: readonly Origin[]
  readonly policies: ReadonlyMap<string, Policy>
  /** Links as declared, each expanded to its groups. */
  readonly groups: readonly Group[]
  /** What the file promises, to be checked before it takes effect. */
  readonly tests: readonly TestDocument[]
}

export interface TopologyNode {
  readonly name: NodeName
  /** IANA name: for `tz: site` and for calendars. */
  readonly timeZone: string
  /** Absent where the file sets no bound. */
  readonly storage?: StorageBudget
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

export interface StorageBudget {
  readonly maxBytes: number
  /** `none`: nothing goes; what has no room is refused. */
  readonly evict: 'lru' | 'none'
  /** Whether REPOSITORY:TAG is never evicted. */
  isPinned(repository: RepositoryName, tag: Tag): boolean
}

/** A key that was replaced: records it signed up to `untilMs` keep their rights, later ones have none. */
export interface FormerPeerId {
  readonly peerId: string
  /** Milliseconds since the Unix epoch. */
  readonly untilMs: number
}

export interface Origin {
  matches(repository: RepositoryName): boolean
  /** The globs, as the file has them. */
  readonly repos: readonly string[]
  readonly writers: readonly NodeName[]
  /** What a node that is no writer does with a push. */
  readonly elsewhere: 'reject' | 'redirect' | 'proxy'
  /** A tag that exists may not be moved. */
  readonly immutableTags: boolean
  /** Who holds a tag also holds what lost it in a concurrent push, under a tag of its own. */
  readonly keepsLosers: boolean
  /** Canonical text of what the file says: for hashes. */
  readonly meaning: string
}

export type Mode = PolicyDocument['mode']

/** Which images of an index: all, or those of these platforms (`os/arch` or `os/arch/variant`), sorted. */
export type Platforms = 'all' | readonly string[]

export interface Policy {
  readonly name: string
  readonly mode: Mode
  /** With `mode: scheduled`. */
  readonly schedule?: Schedule
  readonly platforms: Platforms
  /** Of the jobs that it asks for: higher goes first. */
  readonly priority: number
  readonly deletes: DeleteRule
  /** What it lets through, as the file has it. */
  readonly match: MatchText
  matchesRepository(repository: RepositoryName): boolean
  matchesTag(tag: Tag): boolean
  /** Manifests pushed by digest, without subject, flow too. */
  readonly untagged: boolean
  /** What it lets through shall be at each receiver so soon, milliseconds; undefined where the file says nothing. */
  readonly lagObjectiveMs?: number
  /** Canonical text of what it lets through: for hashes. */
  readonly meaning: string
}

/** Globs and a range of versions, to be shown or to make names up from; whether something matches the policy says. */
export interface MatchText {
  readonly repos: readonly string[]
  readonly semver?: string
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

export interface DeleteRule {
  /** Whether a node that is no writer applies deletes. */
  readonly propagate: boolean
  /** So long after it was written, milliseconds. */
  readonly graceMs: number
  /** So many of a repository's tags, the newest, stay. */
  readonly keepLast: number
  /** Deletes of more than this share (0 to 1) of a repository's tags wait for a person; undefined: none does. */
  readonly guard?: number
}

/** In one direction of a link. */
export interface LinkRate {
  /** Absent: always. */
  readonly when?: Calendar
  readonly bitsPerSecond: number
}

/**
 * One link group: a star or tree parent with its children, or the members of a mesh. Every sender sends to every
 * receiver but itself; one gossip topic a group.
 */
export interface Group {
  /**
   * Unique in the topology and equal at every node: link number and, but for a mesh, parent name (`0/hub`); then the
   * child's, where it sends to its parent (`0/hub/leaf`). Each way between two members of a ring is one of its own.
   */
  readonly id: string
  readonly senders: readonly NodeName[]
  readonly receivers: readonly NodeName[]
  readonly policies: readonly Policy[]
  /** Whom a receiver may ask for bytes that this link lets through: a sender, or any neighbour. */
  readonly fetch: 'link-only' | 'peers-first'
  /** How fast bytes may go from any one sender to any one receiver: of the entries that hold the first counts, none = as fast as they go. */
  readonly rates: readonly LinkRate[]
  /** And the other way: a writer also reads from nodes that only receive. */
  readonly back: readonly LinkRate[]
}
