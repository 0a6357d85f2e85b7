/** Blobs: HEAD, GET with Range, DELETE. A blob is served by the repositories that have it, and by no other. */
import { Readable } from 'node:stream'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { ByteRange } from '../storage/blob-store.ts'
import { type ResponseHead, readPart, sendFile } from './blob-body.ts'
import { entityTag, namesDigest } from './entity-tag.ts'
import { parseRange } from './range.ts'
import { authorize, authorizeWrite, type RegistryDeps, type RegistryRequest } from './request.ts'

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
  authorize(deps, request, 'pull', repository)
  const stat = await deps.content.statBlob(repository, digest)
  if (stat === undefined) throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
  const headers = {
    'accept-ranges': 'bytes',
    'cache-control': IMMUTABLE,
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: entityTag(digest),
  }
  if (namesDigest(request.headers.get('if-none-match'), digest))
    return new Response(null, { status: 304, headers })
  const ask = parseRange(rangeHeader(request, digest), stat.size)
  if (ask.kind === 'unsatisfiable') {
    const range = { 'content-range': `bytes */${stat.size}` }
    throw new OciError('SIZE_INVALID', {
      message: `the blob has ${stat.size} bytes; the range lies outside`,
      status: 416,
      headers: range,
    })
  }
  const range = ask.kind === 'whole' ? { start: 0, end: stat.size } : ask.range
  const length = { 'content-length': String(range.end - range.start) }
  const part =
    ask.kind === 'whole'
      ? {}
      : { 'content-range': `bytes ${range.start}-${range.end - 1}/${stat.size}` }
  const status = ask.kind === 'whole' ? 200 : 206
  const all = { ...headers, ...length, ...part }
  if (request.method === 'HEAD') return new Response(null, { status, headers: all })
  return send(deps, request, { digest, size: stat.size, range }, { status, headers: all })
}

/** Ranges are for GET; with If-Range, only while the client's part is of the same content (RFC 9110 sections 14.2, 13.1.5). */
function rangeHeader({ method, headers }: RegistryRequest, digest: Digest): string | null {
  const condition = headers.get('if-range')
  if (method !== 'GET' || (condition !== null && condition !== entityTag(digest))) return null
  return headers.get('range')
}

interface BlobPart {
  readonly digest: Digest
  /** Bytes of the whole blob. */
  readonly size: number
  readonly range: ByteRange
}

async function send(
  { blobs, logger }: RegistryDeps,
  { outgoing }: RegistryRequest,
  { digest, size, range }: BlobPart,
  head: ResponseHead,
): Promise<Response> {
  const path = blobs.pathOf(digest)
  const isLarge = range.end - range.start > ONE_READ_BYTES
  const gone = () => new OciError('BLOB_UNKNOWN', { detail: { digest } })
  if (path !== undefined && isLarge && outgoing !== undefined) {
    if (await sendFile(outgoing, { path, size, range }, head, logger)) return RESPONSE_ALREADY_SENT
    throw gone()
  }
  if (path !== undefined && !isLarge) {
    const bytes = await readPart({ path, size, range })
    if (bytes === undefined) throw gone()
    return new Response(bytes, head)
  }
  const stream = await blobs.read(digest, range)
  if (stream === undefined) throw gone()
  if (isLarge) return new Response(Readable.toWeb(stream) as ReadableStream, head)
  return new Response(await gather(stream), head)
}

async function gather(stream: Readable): Promise<Uint8Array<ArrayBuffer>> {
  return Buffer.concat(await stream.toArray())
}

export async function deleteBlob(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  digest: Digest,
): Promise<Response> {
  authorizeWrite(deps, request, 'delete', repository)
  if (await deps.content.unlinkBlob(repository, digest)) return new Response(null, { status: 202 })
  throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
}
