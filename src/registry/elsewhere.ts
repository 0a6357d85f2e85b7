/** Pushes at a node that is no writer of the repository, where the topology says that they go to one that is. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Writer, WriterChoice } from '../peers/writer-choice.ts'
import type { PassedPushes } from './passed-pushes.ts'
import type { Target } from './path.ts'

/** A request on its way to another node. */
export interface PassedRequest {
  readonly method: string
  /** Path and query at the writer. */
  readonly path: string
  /** As they came. */
  readonly headers: IncomingHttpHeaders
  /** As it arrives; undefined where the request has none. */
  readonly body: (() => AsyncIterable<Uint8Array>) | undefined
  /** IP address of the client. */
  readonly address: string
}

export type Forwarded =
  | {
      readonly kind: 'answer'
      readonly status: number
      /** As its status line has it. */
      readonly statusText: string
      /** Those that the client may have; a `Location` at the writer is one at this node. */
      readonly headers: IncomingHttpHeaders
      readonly body: Readable
    }
  /** Nothing of a body was sent: another writer may be asked. */
  | { readonly kind: 'unreached'; readonly reason: string }
  /** The writer may have got some of it, and gave no answer. */
  | { readonly kind: 'broken'; readonly reason: string }
  /** The client broke off. */
  | { readonly kind: 'gone' }
  /** As many requests as may be are on their way. */
  | { readonly kind: 'busy' }

export interface Elsewhere {
  /** Undefined: this node takes pushes to the repository, or refuses them. */
  readonly wayOf: (repository: RepositoryName) => 'redirect' | 'proxy' | undefined
  /** Writers that judge credentials which nobody here gave out, nearest first: those of the first origin that is proxied. */
  readonly judges: () => readonly Writer[]
  /** For people: every writer of the repository, with its endpoint. */
  readonly namesOf: (repository: RepositoryName) => string
  readonly writers: Pick<WriterChoice, 'living' | 'latest' | 'took' | 'failed'>
  readonly pushes: PassedPushes
  /** Whether a writer that is no neighbour answers now. */
  readonly isAnswering: (writer: Writer) => Promise<boolean>
  readonly forward: (
    writer: Writer,
    request: PassedRequest,
    options: { readonly signal: AbortSignal },
  ) => Promise<Forwarded>
}

export type RepositoryTarget = Exclude<Target, { readonly kind: 'catalog' }>

export interface ElsewhereRequest {
  readonly method: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly address: string
  readonly body: () => AsyncIterable<Uint8Array>
  readonly outgoing: ServerResponse | undefined
}

/** Named by who passes a request on. Nobody passes it on again: two nodes that each take the other for the writer would never end. */
export const PASSED_BY_HEADER = 'x-entrepot-passed-by'
/** Asks a writer to begin an upload with a Location that names it: after a redirect some clients resolve one against where they asked first. */
export const ABSOLUTE_LOCATION = 'entrepot-location'
/** Seconds: about the time of a restart, or until a neighbour that was lost is found again. */
export const RETRY_AFTER = '5'

/** Whether a part of a push; what reads says nothing of where the next one goes. */
export function isPush({ method }: ElsewhereRequest): boolean {
  return method !== 'GET' && method !== 'HEAD'
}

/** Nodes come with bearer tokens, also with one that they got before this node was restarted: it goes no further. */
export function comesWithToken({ headers }: ElsewhereRequest): boolean {
  return /^bearer /i.test(headers.authorization ?? '')
}

/** An upload is where it began, and nowhere else. */
export function candidates({ writers }: Elsewhere, target: RepositoryTarget): readonly Writer[] {
  const latest = target.kind === 'upload' ? writers.latest(target.repository) : undefined
  return latest === undefined ? writers.living(target.repository) : [latest]
}

/** Without `ns`: which name this mesh has is for the node to judge that the client asked. */
export function queryOf({ query }: ElsewhereRequest): URLSearchParams {
  const rest = new URLSearchParams(query)
  rest.delete('ns')
  return rest
}

export function withQuery(path: string, query: URLSearchParams): string {
  return query.size === 0 ? path : `${path}?${query.toString()}`
}

export function refusePassed(
  { headers, query }: ElsewhereRequest,
  { repository }: RepositoryTarget,
): void {
  const by = headers[PASSED_BY_HEADER] ?? (query.has(ABSOLUTE_LOCATION) ? 'another' : undefined)
  if (by === undefined) return
  const message = `node ${String(by).slice(0, 100)} passed on a push to ${repository} to this node, which is no writer of it: do both run the same topology?`
  throw new OciError('DENIED', { message, status: 508 })
}

/** The specification has no code for it; the status is what clients go by. */
export function noneLives(
  { namesOf }: Elsewhere,
  { kind, repository }: RepositoryTarget,
  reasons: readonly string[],
): OciError {
  const why = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`
  const what =
    kind === 'upload'
      ? `the writer at which this upload began is not reached${why}; begin the push again`
      : `no writer of ${repository} is reached from this node${why}; try again, or push to ${namesOf(repository)}`
  const headers = { 'retry-after': RETRY_AFTER }
  return new OciError('BLOB_UPLOAD_INVALID', { message: what, status: 503, headers })
}
