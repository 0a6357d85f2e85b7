/** Uploads: a session between POST and PUT, in one go, or no bytes at all where the blob can be mounted. */
import { lendChunks } from '../lib/lent-chunks.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { parseRepositoryName, type RepositoryName } from '../oci/name.ts'
import type { LinkBlob } from '../storage/upload-sessions.ts'
import { ABSOLUTE_LOCATION } from './elsewhere.ts'
import type { RegistryDeps, RegistryRequest } from './request.ts'

/** POST: begins a session; `?digest=` with a body is the whole upload; `?mount=` links a blob that is here. */
export async function postUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
): Promise<Response> {
  if (await deps.isLate()) throw tooBusy()
  const mount = request.query.get('mount')
  if (mount !== null && (await canMount(deps, request, mount))) {
    const digest = requireDigest(mount)
    await deps.content.linkBlob(repository, digest)
    return created(repository, digest)
  }
  const whole = request.query.get('digest')
  if (whole === null) {
    const id = await deps.uploads.begin(repository)
    return accepted(repository, id, 0, wantsAbsolute(request) ? deps.endpoint : undefined)
  }
  const digest = requireDigest(whole)
  return store(deps, repository, digest, (link) =>
    deps.uploads.receive(digest, lendChunks(request.body()), link),
  )
}

/** Another node sent the client here: see `redirectPush`. */
function wantsAbsolute({ query }: RegistryRequest): boolean {
  return query.get(ABSOLUTE_LOCATION) === 'absolute'
}

/** Seconds: the event loop is looked at every 5 s. */
const RETRY_AFTER = '5'

/** Only what begins is put off: reads and uploads under way make room by ending. */
function tooBusy(): OciError {
  const message = `this node is behind with its work; try again in ${RETRY_AFTER} s`
  const headers = { 'retry-after': RETRY_AFTER }
  return new OciError('TOOMANYREQUESTS', { message, status: 503, headers })
}

/** Repositories looked through for a blob that may come from any, at most; each is an index read, some 10 µs. Beyond: an upload. */
const MAX_SOURCES = 1_000

/** Whether the blob is here and the caller may read it: from a repository named, or without one from any. */
async function canMount(
  { content, access, blobs }: RegistryDeps,
  { caller, query }: RegistryRequest,
  mount: string,
): Promise<boolean> {
  const digest = parseDigest(mount)
  if (digest === undefined) return false
  const from = query.get('from')
  if (from === null) {
    if ((await blobs.stat(digest)) === undefined) return false
    for await (const source of content.repositoriesOf(digest, { within: MAX_SOURCES })) {
      if (access.may(caller, 'pull', source).kind !== 'allowed') continue
      if ((await content.statBlob(source, digest)) !== undefined) return true
    }
    return false
  }
  const source = parseRepositoryName(from)
  if (source === undefined || access.may(caller, 'pull', source).kind !== 'allowed') return false
  return (await content.statBlob(source, digest)) !== undefined
}

/** PATCH: appends a chunk; `Content-Range: 0-99` says where it belongs, without it the body is the rest. */
export async function patchUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  const at = chunkStart(request)
  const offset = await deps.uploads.append(repository, id, lendChunks(request.body()), { at })
  return accepted(repository, id, offset)
}

/** PUT: the last chunk, if any, and the digest that the whole must have. */
export async function putUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  const digest = requireDigest(request.query.get('digest') ?? '')
  const last = { chunk: lendChunks(request.body()), at: chunkStart(request) }
  return store(deps, repository, digest, (link) =>
    deps.uploads.finish(repository, id, digest, link, last),
  )
}

export async function getUpload(
  deps: RegistryDeps,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  const offset = await deps.uploads.offset(repository, id)
  return new Response(null, { status: 204, headers: sessionHeaders(repository, id, offset) })
}

export async function deleteUpload(
  deps: RegistryDeps,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  await deps.uploads.cancel(repository, id)
  return new Response(null, { status: 204 })
}

async function store(
  { content, leases }: RegistryDeps,
  repository: RepositoryName,
  digest: Digest,
  upload: (link: LinkBlob) => Promise<void>,
): Promise<Response> {
  // Between its file and the row that links it nobody would miss it.
  using _held = await leases.hold([digest])
  await upload((blob, alongside) => content.linkUpload(repository, blob, alongside))
  return created(repository, digest)
}

function requireDigest(text: string): Digest {
  const digest = parseDigest(text)
  if (digest !== undefined) return digest
  const message = `expected ?digest=sha256:<64 hex> or sha512:<128 hex>, got "${text.slice(0, 150)}"`
  throw new OciError('DIGEST_INVALID', { message })
}

/** Start of `Content-Range: <start>-<end>`; undefined without the header. */
function chunkStart({ header }: RegistryRequest): number | undefined {
  const range = header('content-range')
  if (range === undefined) return undefined
  const [, first, last] = /^(?:bytes )?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(range) ?? []
  const start = Number(first)
  const length = Number(last) - start + 1
  const sent = header('content-length')
  if (first !== undefined && length >= 0 && (sent === undefined || Number(sent) === length))
    return start
  const message = `expected Content-Range: <first byte>-<last byte> of a body that long, got "${range.slice(0, 100)}" with ${sent ?? 'no'} Content-Length`
  throw new OciError('BLOB_UPLOAD_INVALID', { message, status: 416 })
}

/**
 * Locations are relative: they stay right behind proxies and forwarded ports, where the node does not know the name that
 * its clients use. Clients resolve them against the request (RFC 9110 section 10.2.2).
 */
function sessionHeaders(repository: RepositoryName, id: string, offset: number) {
  return {
    location: `/v2/${repository}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, offset - 1)}`,
    'docker-upload-uuid': id,
  }
}

function accepted(
  repository: RepositoryName,
  id: string,
  offset: number,
  base: string = '',
): Response {
  const session = sessionHeaders(repository, id, offset)
  const location = `${base}${session.location}`
  const headers = { ...session, location, 'content-length': '0' }
  return new Response(null, { status: 202, headers })
}

function created(repository: RepositoryName, digest: Digest): Response {
  const location = `/v2/${repository}/blobs/${digest}`
  const headers = { location, 'docker-content-digest': digest, 'content-length': '0' }
  return new Response(null, { status: 201, headers })
}
