/** Uploads: a session between POST and PUT, in one go, or no bytes at all where the blob can be mounted. */
import { type Digest, parseDigest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { parseRepositoryName, type RepositoryName } from '../oci/name.ts'
import { authorizeWrite, type RegistryDeps, type RegistryRequest } from './request.ts'

/** POST: begins a session; `?digest=` with a body is the whole upload; `?mount=` links a blob that is here. */
export async function postUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
): Promise<Response> {
  authorizeWrite(deps, request, 'push', repository)
  const mount = request.query.get('mount')
  if (mount !== null && (await canMount(deps, request, mount))) {
    const digest = requireDigest(mount)
    await deps.content.linkBlob(repository, digest)
    return created(repository, digest)
  }
  const whole = request.query.get('digest')
  const digest = whole === null ? undefined : requireDigest(whole)
  const id = await deps.uploads.begin(repository)
  if (digest === undefined) return accepted(repository, id, 0)
  await deps.uploads.append(repository, id, request.body())
  return finish(deps, repository, id, digest)
}

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
    // Who may list the whole registry may read any of it.
    return access.mayList(caller).kind === 'allowed' && (await blobs.stat(digest)) !== undefined
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
  authorizeWrite(deps, request, 'push', repository)
  const at = chunkStart(request.headers.get('content-range'))
  const offset = await deps.uploads.append(repository, id, request.body(), { at })
  return accepted(repository, id, offset)
}

/** PUT: the last chunk, if any, and the digest that the whole must have. */
export async function putUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  authorizeWrite(deps, request, 'push', repository)
  const digest = requireDigest(request.query.get('digest') ?? '')
  const at = chunkStart(request.headers.get('content-range'))
  await deps.uploads.append(repository, id, request.body(), { at })
  return finish(deps, repository, id, digest)
}

export async function getUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  authorizeWrite(deps, request, 'push', repository)
  const offset = await deps.uploads.offset(repository, id)
  return new Response(null, { status: 204, headers: sessionHeaders(repository, id, offset) })
}

export async function deleteUpload(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  id: string,
): Promise<Response> {
  authorizeWrite(deps, request, 'push', repository)
  await deps.uploads.cancel(repository, id)
  return new Response(null, { status: 204 })
}

async function finish(
  { uploads, content }: RegistryDeps,
  repository: RepositoryName,
  id: string,
  digest: Digest,
): Promise<Response> {
  await uploads.finish(repository, id, digest)
  await content.linkBlob(repository, digest)
  return created(repository, digest)
}

function requireDigest(text: string): Digest {
  const digest = parseDigest(text)
  if (digest !== undefined) return digest
  const message = `expected ?digest=sha256:<64 hex> or sha512:<128 hex>, got "${text.slice(0, 150)}"`
  throw new OciError('DIGEST_INVALID', { message })
}

/** Start of `<start>-<end>`; undefined without the header. */
function chunkStart(header: string | null): number | undefined {
  if (header === null) return undefined
  const start = /^(?:bytes )?(\d+)-\d+/.exec(header)?.[1]
  if (start !== undefined) return Number(start)
  const message = `expected Content-Range: <start>-<end>, got "${header.slice(0, 100)}"`
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

function accepted(repository: RepositoryName, id: string, offset: number): Response {
  const headers = { ...sessionHeaders(repository, id, offset), 'content-length': '0' }
  return new Response(null, { status: 202, headers })
}

function created(repository: RepositoryName, digest: Digest): Response {
  const location = `/v2/${repository}/blobs/${digest}`
  const headers = { location, 'docker-content-digest': digest, 'content-length': '0' }
  return new Response(null, { status: 201, headers })
}
