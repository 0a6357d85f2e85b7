/** Everything that can happen in a node, as data: the only list of event names. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { RecordKey, SignedRecord } from '../record/tag-record.ts'
import type { NodeName } from '../topology/topology.ts'

/** How a record came here. */
export type Arrival =
  | { readonly via: 'push' }
  | { readonly via: 'gossip'; readonly from: NodeName; readonly topic: string }
  | { readonly via: 'feed'; readonly from: NodeName }

export type JobState = 'queued' | 'running' | 'waiting' | 'held' | 'done' | 'superseded' | 'gone'
export type JobPhase = 'manifest' | 'missing' | 'blobs' | 'commit'

/**
 * Why a job waits: nobody who has it is there, it did not come from one that may have it, this node could not keep it, or its
 * time has not come.
 */
export type WaitCause = 'no-holder' | 'failed' | 'local-fault' | 'window'

/** Why a job ended other than by being done: another record took over, nothing asks for it any more, or nobody has it. */
export type EndCause = 'newer-news' | 'not-wanted' | 'no-holder'

/** What a person has stopped until it is resumed: everything, what comes from a neighbour, or what a policy asks for. */
export interface Pause {
  readonly scope: 'all' | 'link' | 'policy'
  /** Of the neighbour or the policy. */
  readonly name?: string | undefined
  /** Milliseconds since the Unix epoch. */
  readonly sinceMs: number
}

/** A line of a job's own log. */
export interface JobLine {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
  readonly text: string
}

/** A node was asked for a blob or a manifest of a job, and what came of it. */
export interface AskedNode {
  /** Milliseconds since the Unix epoch: of the outcome. */
  readonly atMs: number
  readonly node: string
  readonly digest: Digest
  readonly outcome: 'gave' | 'absent' | 'unreachable' | 'corrupt' | 'closed'
  readonly reason?: string
}

/** One of several pushes of a tag. */
export interface ConflictPart {
  /** Peer id. */
  readonly writer: string
  readonly digest: Digest
  /** Milliseconds since the Unix epoch, of the logical time. */
  readonly timeMs: number
}

/** What a job looks like from outside; also the shape of `/api/v1/jobs`. */
export interface JobView {
  /** `repository@digest`: one job for both together. */
  readonly id: string
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Tags and digests that wait for it. */
  readonly references: readonly string[]
  readonly state: JobState
  readonly phase?: JobPhase
  readonly bytesDone: number
  /** Known once the manifest is here; undefined before. */
  readonly bytesTotal?: number
  readonly attempts: number
  /** Why it waits or ended, for a person. */
  readonly reason?: string
  /** Of a job that waits after a try, or ended. */
  readonly cause?: WaitCause | EndCause
  /** Milliseconds since the Unix epoch. */
  readonly nextTryAtMs?: number
  readonly createdAtMs: number
  readonly changedAtMs: number
  /** Higher goes first. */
  readonly priority: number
  /** Names of those that ask for it; none where the node holds it because it may write it. */
  readonly policies: readonly string[]
  /** Of an index: what is fetched. */
  readonly platforms: 'all' | readonly string[]
  /** When its bytes may come, each as text; absent: at any time. */
  readonly windows?: readonly string[]
  /** What a person paused so that it does not run: `job`, `all` or `policy NAME`. */
  readonly pausedBy?: string
  /** Of a running job: the nodes that bytes come from now, and how many a second, over the last seconds. */
  readonly from?: readonly string[]
  readonly bytesPerSecond?: number
}

/**
 * A manifest or a blob's link is what a repository may serve; a blob is a file of the disk, without a repository that has
 * it; a stage is a blob on its way in, an upload a client's session.
 */
export type CollectedKind = 'manifest' | 'link' | 'blob' | 'stage' | 'upload'

export type MeshEvent =
  /** A record that this node did not know is stored: known, relayed, maybe wanted. */
  | { readonly kind: 'record-stored'; readonly signed: SignedRecord; readonly arrival: Arrival }
  /** A record from the future is kept aside until its time: relayed, not applied. */
  | {
      readonly kind: 'record-parked'
      readonly signed: SignedRecord
      readonly arrival: Exclude<Arrival, { readonly via: 'push' }>
    }
  /** This writer's clock is too far off to sign anything: why; without a reason it is right again. */
  | { readonly kind: 'writer-clock'; readonly reason?: string }
  /** A neighbour floods this node or sends what no honest node does; raised once until it was quiet for long. */
  | {
      readonly kind: 'peer-cut-off'
      readonly node: NodeName
      readonly reason: string
      readonly cutOffMs: number
    }
  /** A record was refused; raised once per writer and reason. */
  | {
      readonly kind: 'record-refused'
      readonly reason: string
      readonly writer?: string
      readonly from: NodeName
    }
  /** A writer's key is in two places: two records of one identity. */
  | { readonly kind: 'writer-cloned'; readonly writer: string; readonly key: RecordKey }
  /** Pushes that did not know of each other fought over a tag; raised once for each change of who won and who lost. */
  | {
      readonly kind: 'conflict'
      readonly key: RecordKey
      readonly winner: ConflictPart
      readonly losers: readonly ConflictPart[]
    }
  /** What the node serves for a reference changed; digest undefined = it serves nothing any more. */
  | { readonly kind: 'visible-changed'; readonly key: RecordKey; readonly digest?: Digest }
  /** A neighbour holds what it shows for a reference: of an index the images of these platforms; without any, all of it. */
  | {
      readonly kind: 'holder-found'
      readonly node: NodeName
      readonly repository: RepositoryName
      readonly digest: Digest
      readonly platforms?: readonly string[]
    }
  /** A neighbour's feed began again (wiped disk, restored backup): what it held before says nothing any more. */
  | { readonly kind: 'feed-restarted'; readonly node: NodeName }
  /** An audit found records that the neighbour's feed should have brought; `keys` are some of them. A fault of the program. */
  | {
      readonly kind: 'feed-difference'
      readonly node: NodeName
      readonly keys: readonly RecordKey[]
      readonly records: number
    }
  | { readonly kind: 'neighbour-up'; readonly node: NodeName }
  | { readonly kind: 'neighbour-down'; readonly node: NodeName }
  /** Another topology runs here from now on. `from`: a neighbour, `apply` or `reload`. */
  | {
      readonly kind: 'topology-adopted'
      readonly generation: number
      readonly hash: string
      readonly from: string
    }
  /** A topology was not taken, the former one runs on; raised once for each origin and reason. */
  | {
      readonly kind: 'topology-refused'
      readonly generation?: number
      readonly from: string
      readonly reason: string
    }
  /** A neighbour runs another topology of the same generation; raised once for each neighbour and topology. */
  | { readonly kind: 'topology-differs'; readonly node: NodeName; readonly generation: number }
  /** A peer that stands in no accepted topology was cut off; raised once per peer id. */
  | { readonly kind: 'stranger-refused'; readonly peerId: string; readonly address: string }
  | { readonly kind: 'job-changed'; readonly job: JobView }
  /** Of the jobs that were told of so far none is there any more: they are derived anew, for another topology. */
  | { readonly kind: 'jobs-reset' }
  /** All that is paused from now on. */
  | { readonly kind: 'pauses-changed'; readonly pauses: readonly Pause[] }
  /** Bytes of a blob came in from another node and were verified. */
  | {
      readonly kind: 'blob-fetched'
      readonly digest: Digest
      readonly sizeBytes: number
      readonly from: NodeName
    }
  /** A client's upload became a blob of a repository that did not have it: it may be on disk for another one already. */
  | { readonly kind: 'blob-uploaded'; readonly digest: Digest; readonly sizeBytes: number }
  /** The collector took what nothing needed any more. */
  | {
      readonly kind: 'content-collected'
      readonly counts: Readonly<Record<CollectedKind, number>>
      /** Bytes of files that are gone from the disk. */
      readonly freedBytes: number
    }
  /** So many deletes of a repository came at once that its guard has them wait for a person; raised once until they are let through. */
  | {
      readonly kind: 'deletes-held-up'
      readonly repository: RepositoryName
      /** How many wait. */
      readonly deletes: number
      /** Tags that the node shows, those included. */
      readonly tags: number
    }
  /** The bytes of a blob are not what they must be: it counts as absent from now on, and is fetched again. */
  | { readonly kind: 'blob-damaged'; readonly digest: Digest; readonly why: string }
  | { readonly kind: 'blob-repaired'; readonly digest: Digest }

export type MeshEventKind = MeshEvent['kind']
export type EventOf<K extends MeshEventKind> = Extract<MeshEvent, { readonly kind: K }>
