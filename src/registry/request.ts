/** A request of the OCI API as the routes see it, and what they all need. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Access, Action, Caller } from '../access/access.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import type { BlobLeases } from '../storage/blob-leases.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type {
  ContentReader,
  ContentWriter,
  Page,
  ReferrerDescriptor,
  StoredManifest,
} from '../storage/content.ts'
import type { DamageReports } from '../storage/damage.ts'
import type { UploadSessions } from '../storage/upload-sessions.ts'
import type { ArrivingBlob } from './arriving-body.ts'
import type { Elsewhere } from './elsewhere.ts'

export interface RegistryDeps {
  readonly content: ContentReader & ContentWriter
  readonly blobs: BlobStore
  readonly uploads: UploadSessions
  readonly leases: Pick<BlobLeases, 'hold' | 'touch'>
  readonly damage: DamageReports
  readonly access: Access
  /** Why this node may not write the repository, naming who may; undefined where it may. */
  readonly refusal: (repository: RepositoryName) => string | undefined
  /** Why this node signs nothing now, and when it does again; undefined where it may. */
  readonly unableToSign: () => string | undefined
  /** Where pushes go that this node takes no part in. */
  readonly elsewhere: Elsewhere
  /** What comes when a client asks for it; absent where the topology says so of nothing. */
  readonly onRequest?: OnRequest | undefined
  /** Told of manifests that clients read; absent where nobody wants to know. */
  readonly pulled?: ((repository: RepositoryName, digest: Digest) => void) | undefined
  /** Base URL of this node for clients, where the topology says it. */
  readonly endpoint?: string | undefined
  /** Whether a registry's name, `host[:port]` in lower case, is one of this mesh. */
  readonly isOwnName: (name: string) => boolean
  /** Whether the node is behind with its work, also after a moment: what can wait is put off. */
  readonly isLate: () => boolean | Promise<boolean>
  /** Bytes. */
  readonly maxManifestBytes: number
  readonly logger: Logger
}

export interface OnRequest {
  /**
   * The manifest that the mesh knows for the reference, where this node does not have it; undefined: it does, or none comes.
   * `asking`: names of nodes that wait for the answer; what this node waits for at one of them does not come.
   */
  manifest(
    repository: RepositoryName,
    reference: Reference,
    asking?: readonly string[],
    options?: LookOptions,
  ): Promise<BroughtManifest | undefined>
  /** Tags that come when they are asked for: not here yet, in order. */
  tags(repository: RepositoryName, page: Page): Promise<readonly Tag[]>
  /** Manifests about `subject` that are not here, in no order: as many as can be fetched now. */
  referrers(
    repository: RepositoryName,
    subject: Digest,
    asking?: readonly string[],
  ): Promise<readonly ReferrerDescriptor[]>
  /** A blob of an image that was asked for. */
  blob(
    repository: RepositoryName,
    digest: Digest,
    asking?: readonly string[],
  ): ArrivingBlob | undefined
}

export interface LookOptions {
  /** Only the manifest is wanted: its image does not come for that. */
  readonly isLook?: boolean
}

export interface BroughtManifest extends StoredManifest {
  /** What a record names: the manifest itself, or the index that it is a part of. */
  readonly root: Digest
}

/** Of a request by a node whose client only looks: as HEAD is. */
export const LOOK_HEADER = 'entrepot-look'
/** In an answer to a node: indexes that have the manifest as a child, with commas. */
export const NAMED_BY_HEADER = 'entrepot-named-by'
/** Nodes that wait for the answer, first the one that a client asked; names with commas. */
export const ASKING_HEADER = 'entrepot-asking'
/** Of longer chains of nodes the first ones are looked at: who is in a circle with them is found all the same. */
const MAX_ASKING = 32

export function askingOf({ header }: RegistryRequest): readonly string[] {
  return header(ASKING_HEADER)?.split(',', MAX_ASKING) ?? []
}

export interface RegistryRequest {
  readonly method: string
  readonly query: URLSearchParams
  /** A header's value by its name in lower case. */
  readonly header: (name: string) => string | undefined
  readonly caller: Caller
  /** The body as it arrives; read it at most once. */
  readonly body: () => AsyncIterable<Uint8Array>
  /** The raw response, where there is a socket: for the fast path of large blobs. */
  readonly outgoing: ServerResponse | undefined
}

/** What @hono/node-server hands to the app; absent when a test asks the app without a socket. */
export interface NodeBindings {
  readonly incoming?: IncomingMessage
  readonly outgoing?: ServerResponse
}

/** A header of Node's own, by its name in lower case: web headers are made anew for every request. */
export function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** Seconds: a clock is put right by a person, or in steps by its daemon. */
const CLOCK_RETRY_AFTER = '30'

/** Writing needs the right, and a node that may write. @throws OciError UNAUTHORIZED, DENIED; TOOMANYREQUESTS 503 while it signs nothing */
export function authorize(
  { access, refusal, unableToSign }: RegistryDeps,
  { caller }: RegistryRequest,
  action: Action,
  repository: RepositoryName,
): void {
  const check = (one: Action) => {
    const verdict = access.may(caller, one, repository)
    if (verdict.kind === 'unauthorized') throw unauthorized(one)
    if (verdict.kind === 'denied') throw new OciError('DENIED', { message: verdict.reason })
  }
  // Who may read here is told where to push instead of being asked for an account that would not help.
  check('pull')
  if (action === 'pull') return
  const message = refusal(repository)
  if (message !== undefined) throw new OciError('DENIED', { message })
  check(action)
  // Before the first byte of a layer: what ends in a manifest that is refused is not worth sending.
  const unable = unableToSign()
  if (unable === undefined) return
  const headers = { 'retry-after': CLOCK_RETRY_AFTER }
  throw new OciError('TOOMANYREQUESTS', { message: unable, status: 503, headers })
}

/** Basic: what docker and podman know how to answer; tokens of nodes come by another way. */
export function unauthorized(action: Action = 'pull'): OciError {
  const message =
    action === 'pull'
      ? 'this node does not serve clients without an account'
      : 'this node takes no pushes and deletes of clients without an account; it does when started with --anonymous push'
  return new OciError('UNAUTHORIZED', {
    message,
    headers: { 'www-authenticate': 'Basic realm="entrepot"' },
  })
}
