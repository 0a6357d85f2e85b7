/** Pushes that this node carries to a writer, and the answers back: byte for byte, never held whole. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { reasonPhrase } from '../lib/reason-phrase.ts'
import { parseDigest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { Writer } from '../peers/writer-choice.ts'
import {
  candidates,
  comesWithToken,
  type Elsewhere,
  type ElsewhereRequest,
  type Forwarded,
  isPush,
  noneLives,
  PASSED_BY_HEADER,
  queryOf,
  RETRY_AFTER,
  type RepositoryTarget,
  refusePassed,
  withQuery,
} from './elsewhere.ts'
import { pathOf } from './path.ts'

interface ProxyDeps {
  readonly elsewhere: Elsewhere
  readonly logger: Logger
}

/** Streams the request to the writer and its answer back. @throws OciError when no writer takes it */
export async function proxyPush(
  { elsewhere, logger }: ProxyDeps,
  request: ElsewhereRequest,
  target: RepositoryTarget,
): Promise<Response> {
  refusePassed(request, target)
  const { repository } = target
  const path = withQuery(pathOf(target), queryOf(request))
  const signal = untilGone(request)
  const reasons: string[] = []
  for (const writer of candidates(elsewhere, target)) {
    const sent = await passTo(elsewhere, writer, request, { path, signal })
    if (sent.kind === 'busy') throw busy()
    // Nobody reads it.
    if (sent.kind === 'gone') return new Response(null, { status: 400 })
    if (sent.kind === 'unreached') {
      logger.warn({ writer: writer.name, repository, reason: sent.reason }, 'writer not reached')
      elsewhere.writers.failed(writer.name)
      reasons.push(`${writer.name}: ${sent.reason}`)
      continue
    }
    if (sent.kind === 'broken') {
      logger.warn({ writer: writer.name, repository, reason: sent.reason }, 'push broken off')
      const message = `writer ${writer.name} broke off (${sent.reason}); push again`
      throw new OciError('BLOB_UPLOAD_INVALID', { message, status: 502 })
    }
    if (isPush(request)) {
      elsewhere.writers.took(repository, writer.name)
      notePush(elsewhere, sent, target)
    } else if (sent.status >= 500) {
      // Who reads may have the answer of another one, or of this node.
      sent.body.on('error', () => {}).destroy()
      reasons.push(`${writer.name}: answered ${sent.status}`)
      continue
    }
    return sendAnswer(sent, request, { logger, signal })
  }
  throw noneLives(elsewhere, target, reasons)
}

/** Asks a writer about credentials that nobody here gave out; undefined where none answers. */
export async function proxyPing(
  { elsewhere, logger }: ProxyDeps,
  request: ElsewhereRequest,
): Promise<Response | undefined> {
  if (request.headers[PASSED_BY_HEADER] !== undefined || comesWithToken(request)) return undefined
  const signal = untilGone(request)
  for (const writer of elsewhere.judges()) {
    const sent = await passTo(elsewhere, writer, request, { path: '/v2/', signal })
    if (sent.kind === 'answer') return sendAnswer(sent, request, { logger, signal })
  }
  return undefined
}

/** Aborted when the client has its answer, or left. */
function untilGone({ outgoing }: ElsewhereRequest): AbortSignal {
  const gone = new AbortController()
  outgoing?.once('close', () => gone.abort())
  // It may have left before its turn came.
  if (outgoing?.destroyed) gone.abort()
  return gone.signal
}

async function passTo(
  { forward }: Elsewhere,
  writer: Writer,
  { method, headers, address, body }: ElsewhereRequest,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal },
): Promise<Forwarded> {
  const hasBody =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  const passed = { method, path, headers, address, body: hasBody ? body : undefined }
  return forward(writer, passed, { signal })
}

async function sendAnswer(
  { status, statusText, headers, body }: Extract<Forwarded, { readonly kind: 'answer' }>,
  { method, outgoing }: ElsewhereRequest,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<Response> {
  const fields = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  )
  const head = { status, statusText: reasonPhrase(statusText), headers: fields }
  if (method === 'HEAD' || status === 204 || status === 304) {
    body.resume()
    return new Response(null, head)
  }
  if (outgoing === undefined) return new Response(Readable.toWeb(body) as ReadableStream, head)
  outgoing.on('error', () => {})
  outgoing.writeHead(status, head.statusText, headers)
  try {
    for await (const chunk of body) {
      if (!outgoing.write(chunk)) await once(outgoing, 'drain', { signal })
    }
    outgoing.end()
  } catch (err) {
    if (!signal.aborted) logger.warn({ reason: messageOf(err) }, 'answer of a writer broke off')
    // The headers are out: cutting the connection is the only way to say that the body is not whole.
    outgoing.destroy()
  }
  return RESPONSE_ALREADY_SENT
}

function notePush(
  { pushes }: Elsewhere,
  { status, headers }: Extract<Forwarded, { readonly kind: 'answer' }>,
  target: RepositoryTarget,
): void {
  const digest = parseDigest(String(headers['docker-content-digest']))
  if (status !== 201 || digest === undefined) return
  pushes.note(target.repository, digest, digest)
  if (target.kind === 'manifest') pushes.note(target.repository, target.reference, digest)
}

function busy(): OciError {
  const message = 'as many pushes as may be are passed on by this node; try again in a moment'
  const headers = { 'retry-after': RETRY_AFTER }
  return new OciError('TOOMANYREQUESTS', { message, status: 503, headers })
}
