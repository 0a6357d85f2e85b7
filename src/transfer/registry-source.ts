/** The RegistrySource port: content of another node, by digest. Outcomes are data; only aborts are thrown. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'

/** Why a holder did not give what was asked for. */
export type Refused =
  /** It does not have it, or does not let this node see it. */
  | { readonly kind: 'absent' }
  /** Not reached, or an answer that makes no sense. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** The link lets nothing through at this time: until when, milliseconds since the Unix epoch, Infinity for ever. */
  | { readonly kind: 'closed'; readonly reason: string; readonly untilMs: number }

export interface ManifestAnswer {
  readonly kind: 'manifest'
  /** Not verified yet; at most MAX_MANIFEST_BYTES. */
  readonly bytes: Uint8Array
  readonly mediaType: string | undefined
  /** Indexes that have it as a child, as far as the holder says. */
  readonly namedBy?: readonly Digest[]
}

export interface ManifestAsk {
  readonly signal: AbortSignal
  readonly asking?: Asking
  /** Whoever waits for it only looks: a node that fetches on request does not bring its image for that. */
  readonly isLook?: boolean
}

export interface BlobAnswer {
  readonly kind: 'blob'
  /** First byte of the body: `offset` as asked for, or 0 where the holder ignored the range. */
  readonly offset: number
  /** Not verified yet. Ends early when the link is cut: it throws then. A chunk is good until the next one is asked for. */
  readonly body: AsyncIterable<Uint8Array>
}

export interface BlobAsk {
  /** First byte that is asked for. */
  readonly offset: number
  /** The byte after the last one that is asked for; absent: all to the end. A holder may ignore it. */
  readonly end?: number
  /** Bytes of the whole blob, where the caller knows. */
  readonly size?: number
  readonly signal: AbortSignal
  readonly asking?: Asking
}

/** Nodes that wait for the answer, first the one that a client asked. */
export type Asking = readonly NodeName[]

export interface RegistrySource {
  manifest(
    node: NodeName,
    repository: RepositoryName,
    digest: Digest,
    options: ManifestAsk,
  ): Promise<ManifestAnswer | Refused>
  blob(
    node: NodeName,
    repository: RepositoryName,
    digest: Digest,
    options: BlobAsk,
  ): Promise<BlobAnswer | Refused>
}
