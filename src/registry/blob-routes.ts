/** Blobs: HEAD, GET with Range, DELETE. A blob is served by the repositories that have it, and by no other. */
import { Readable } from 'node:stream'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore, ByteRange } from '../storage/blob-store.ts'
import type { DamageReports } from '../storage/damage.ts'
import { SMALL_CONTENT_BYTES } from '../storage/small-content.ts'
import { type ArrivingBlob, sendArriving } from './arriving-body.ts'
import { type ResponseHead, readPart, sendBytes, sendFile } from './blob-body.ts'
import { entityTag, namesDigest } from './entity-tag.ts'
import { parseRange } from './range.ts'
import { askingOf, type RegistryDeps, type RegistryRequest } from './request.ts'

/** Content by digest never changes. */
export const IMMUTABLE = 'public, max-age=31536000, immutable'
/** Up to here one read and one write are cheaper than two buffers in turn, bytes. */
const ONE_READ_BYTES = 1024 * 1024

export async function getBlob(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  digest: Digest,
): Promise<Response> {
  const stat = await deps.content.statBlob(repository, digest)
  // Whoever asks before a push must not leave out what the manifest would miss.
  const isBeforePush = request.method === 'HEAD' && deps.refusal(repository) === undefined
  const mayCome = stat === undefined && !isBeforePush
  const arriving = mayCome ? deps.onRequest?.blob(repository, digest, askingOf(request)) : undefined
  if (arriving !== undefined) {
    return serveBlob(deps, request, { repository, digest, size: arriving.size, arriving })
  }
  if (stat === undefined) throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
  // Whoever is told that it is here may leave its upload out.
  deps.leases.touch(digest)
  return serveBlob(deps, request, { repository, digest, size: stat.size })
}

export interface ServedBlob {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Bytes of the whole blob. */
  readonly size: number
  /** Where it is not here yet: how it comes. */
  readonly arriving?: ArrivingBlob
}

/** What is needed to send a blob that its reader may have. */
export interface BlobSenderDeps {
  readonly blobs: Pick<BlobStore, 'pathOf' | 'read' | 'readAll'>
  readonly damage: DamageReports
  readonly logger: Logger
}

export async function serveBlob(
  deps: BlobSenderDeps,
  request: Pick<RegistryRequest, 'method' | 'header' | 'outgoing'>,
  served: ServedBlob,
): Promise<Response> {
  const { digest, size } = served
  const headers = {
    'accept-ranges': 'bytes',
    'cache-control': IMMUTABLE,
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: entityTag(digest),
  }
  if (namesDigest(request.header('if-none-match'), digest))
    return new Response(null, { status: 304, headers })
  const ask = parseRange(rangeHeader(request, digest), size)
  if (ask.kind === 'unsatisfiable') {
    const range = { 'content-range': `bytes */${size}` }
    throw new OciError('SIZE_INVALID', {
      message: `the blob has ${size} bytes; the range lies outside`,
      status: 416,
      headers: range,
    })
  }
  const range = ask.kind === 'whole' ? { start: 0, end: size } : ask.range
  const length = { 'content-length': String(range.end - range.start) }
  const part =
    ask.kind === 'whole' ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${size}` }
  const status = ask.kind === 'whole' ? 200 : 206
  const all = { ...headers, ...length, ...part }
  if (request.method === 'HEAD') return new Response(null, { status, headers: all })
  return send(deps, request, { ...served, range }, { status, headers: all })
}

/** Ranges are for GET; with If-Range, only while the client's part is of the same content (RFC 9110 sections 14.2, 13.1.5). */
function rangeHeader(
  { method, header }: Pick<RegistryRequest, 'method' | 'header'>,
  digest: Digest,
): string | undefined {
  const condition = header('if-range')
  if (method !== 'GET' || (condition !== undefined && condition !== entityTag(digest)))
    return undefined
  return header('range')
}

interface BlobPart extends ServedBlob {
  readonly range: ByteRange
}

async function send(
  { blobs, damage, logger }: BlobSenderDeps,
  request: Pick<RegistryRequest, 'method' | 'outgoing'>,
  { repository, digest, size, range, arriving }: BlobPart,
  head: ResponseHead,
): Promise<Response> {
  const { outgoing } = request
  if (arriving !== undefined) {
    return sendArriving(arriving, { digest, range, outgoing, logger }, head)
  }
  /** It was here a moment ago: the file was lost or cut behind our back, or taken by the collector with its row. */
  const gone = async () => {
    await damage.report(repository, digest, `expected ${size} bytes, the file has others`)
    return new OciError('BLOB_UNKNOWN', { detail: { digest } })
  }
  if (size <= SMALL_CONTENT_BYTES) {
    const all = await blobs.readAll(digest)
    if (all?.length !== size) throw await gone()
    return sendBytes(request, all.subarray(range.start, range.end), head)
  }
  const path = blobs.pathOf(digest)
  const isLarge = range.end - range.start > ONE_READ_BYTES
  if (path !== undefined && isLarge && outgoing !== undefined) {
    const onFault = (err: unknown) => {
      logger.error({ err, digest, path }, 'blob not read to its end')
      void damage.report(repository, digest, messageOf(err))
    }
    if (await sendFile(outgoing, { path, size, range }, head, onFault)) return RESPONSE_ALREADY_SENT
    throw await gone()
  }
  if (path !== undefined && !isLarge) {
    const bytes = await readPart({ path, size, range })
    if (bytes === undefined) throw await gone()
    return sendBytes(request, bytes, head)
  }
  const stream = await blobs.read(digest, range)
  if (stream === undefined) throw await gone()
  if (isLarge) return new Response(Readable.toWeb(stream) as ReadableStream, head)
  return new Response(await gather(stream), head)
}

async function gather(stream: Readable): Promise<Uint8Array<ArrayBuffer>> {
  return Buffer.concat(await stream.toArray())
}

export async function deleteBlob(
  deps: RegistryDeps,
  repository: RepositoryName,
  digest: Digest,
): Promise<Response> {
  if (await deps.content.unlinkBlob(repository, digest)) return new Response(null, { status: 202 })
  throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
}
