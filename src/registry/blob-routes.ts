/** Blobs: HEAD, GET with Range, DELETE. A blob is served by the repositories that have it, and by no other. */
import { Readable } from 'node:stream'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { ByteRange } from '../storage/blob-store.ts'
import { sendFile } from './blob-body.ts'
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
    etag: `"${digest}"`,
  }
  if (request.headers.get('if-none-match') === `"${digest}"`)
    return new Response(null, { status: 304, headers })
  const ask = parseRange(request.headers.get('range'), stat.size)
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
  return send(deps, request, digest, range, status, all)
}

async function send(
  { blobs }: RegistryDeps,
  { outgoing }: RegistryRequest,
  digest: Digest,
  range: ByteRange,
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const path = blobs.pathOf(digest)
  const isLarge = range.end - range.start > ONE_READ_BYTES
  if (isLarge && path !== undefined && outgoing !== undefined) {
    await sendFile(outgoing, path, headers, status, range)
    return RESPONSE_ALREADY_SENT
  }
  const stream = await blobs.read(digest, range)
  if (stream === undefined) throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
  if (isLarge) return new Response(Readable.toWeb(stream) as ReadableStream, { status, headers })
  return new Response(await gather(stream), { status, headers })
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
