/** What the main thread and a reader thread say to each other. */
import type { LogLevel } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Bounds } from './bounds.ts'

/** PEM, as served: what can be handed to another thread of a TlsPair. */
export interface TlsText {
  readonly cert: string
  readonly key: string
}

/** Given to a reader when it starts. */
export interface ReaderStart {
  readonly node: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly bounds: Bounds
  readonly logLevel: LogLevel
  /** Where the main thread answers what a reader does not. */
  readonly socketPath: string
  readonly tls?: TlsText
}

export interface BlobAsk {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly authorization: string | undefined
  /** IP address of the client. */
  readonly address: string
}

export interface BlobAnswer {
  /** The file of the blob, and its bytes. */
  readonly path: string
  readonly size: number
}

export type FromReader =
  | { readonly kind: 'listening' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'ask'; readonly id: number; readonly blob: BlobAsk }
  | {
      readonly kind: 'damaged'
      readonly repository: RepositoryName
      readonly digest: Digest
      readonly why: string
    }
  | { readonly kind: 'drained' }

export type ToReader =
  /** Without a blob: this request is not for a reader to answer. */
  | { readonly kind: 'answer'; readonly id: number; readonly blob?: BlobAnswer }
  | { readonly kind: 'tls'; readonly pair: TlsText }
  | { readonly kind: 'drain' }
