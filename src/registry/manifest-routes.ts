/** Manifests by tag and digest: byte for byte as pushed. */
import { OciError } from '../oci/errors.ts'
import { isDigest, parseTag, type Reference, type RepositoryName, type Tag } from '../oci/name.ts'
import { sendBytes } from './blob-body.ts'
import { IMMUTABLE } from './blob-routes.ts'
import { entityTag, namesDigest } from './entity-tag.ts'
import type { RegistryDeps, RegistryRequest } from './request.ts'

export async function getManifest(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  reference: Reference,
): Promise<Response> {
  const stat = await deps.content.statManifest(repository, reference)
  if (stat === undefined) throw unknown(deps, repository, reference)
  if (isDigest(reference)) deps.leases.touch(reference)
  const headers = {
    'content-type': stat.mediaType,
    'content-length': String(stat.size),
    'docker-content-digest': stat.digest,
    etag: entityTag(stat.digest),
    'cache-control': isDigest(reference) ? IMMUTABLE : 'no-cache',
  }
  if (namesDigest(request.header('if-none-match'), stat.digest))
    return new Response(null, { status: 304, headers })
  if (request.method === 'HEAD') return new Response(null, { headers })
  // By digest: a tag that moves meanwhile must not give other bytes than the headers say.
  const manifest = await deps.content.readManifest(repository, stat.digest)
  // Another size is damage: as good as absent, so that clients ask another node.
  if (manifest?.bytes.length !== stat.size) throw unknown(deps, repository, reference)
  return sendBytes(request, manifest.bytes, { status: 200, headers })
}

export async function putManifest(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  reference: Reference,
): Promise<Response> {
  const bytes = await readBody(request, deps.maxManifestBytes)
  const mediaType = request.header('content-type')?.split(';')[0]?.trim()
  const tags = tagsOf(request, reference)
  const push = { repository, reference, tags, mediaType, bytes }
  const pushed = await deps.content.pushManifest(push)
  const headers = {
    location: `/v2/${repository}/manifests/${pushed.digest}`,
    'docker-content-digest': pushed.digest,
    'content-length': '0',
    ...(pushed.subject === undefined ? {} : { 'oci-subject': pushed.subject }),
    ...(tags.length === 0 ? {} : { 'oci-tag': tags.join(', ') }),
  }
  return new Response(null, { status: 201, headers })
}

export async function deleteManifest(
  deps: RegistryDeps,
  repository: RepositoryName,
  reference: Reference,
): Promise<Response> {
  const isGone = isDigest(reference)
    ? await deps.content.deleteManifest(repository, reference)
    : await deps.content.deleteTag(repository, reference)
  if (isGone) return new Response(null, { status: 202 })
  throw unknown(deps, repository, reference)
}

/** Tags of one push, at most: each is a signed record, and all are one commit. */
const MAX_TAGS = 100

/** `?tag=`, any number of times, with a push by digest. @throws OciError MANIFEST_INVALID */
function tagsOf({ query }: RegistryRequest, reference: Reference): readonly Tag[] {
  const texts = [...new Set(query.getAll('tag'))]
  if (texts.length === 0) return []
  if (!isDigest(reference)) {
    const message = '?tag= goes with a push by digest; this one is by tag'
    throw new OciError('MANIFEST_INVALID', { message })
  }
  if (texts.length > MAX_TAGS) {
    const message = `expected at most ${MAX_TAGS} tags in one push, got ${texts.length}`
    throw new OciError('MANIFEST_INVALID', { message, status: 414 })
  }
  return texts.map((text) => {
    const tag = parseTag(text)
    if (tag !== undefined) return tag
    const message = `expected ?tag= to be letters, digits, . _ -, at most 128 characters; got "${text.slice(0, 150)}"`
    throw new OciError('MANIFEST_INVALID', { message })
  })
}

async function readBody({ body, header }: RegistryRequest, limit: number): Promise<Uint8Array> {
  if (Number(header('content-length') ?? 0) > limit) throw tooLarge(limit)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body()) {
    size += chunk.length
    if (size > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** 413 is what HTTP says of a body that is too large; the code is the nearest of the specification. */
function tooLarge(limit: number): OciError {
  const message = `a manifest has at most ${limit} bytes on this node`
  return new OciError('MANIFEST_INVALID', { message, status: 413 })
}

function unknown(
  { content }: RegistryDeps,
  repository: RepositoryName,
  reference: Reference,
): OciError {
  const detail = { repository, reference }
  if (content.hasRepository(repository)) return new OciError('MANIFEST_UNKNOWN', { detail })
  return new OciError('NAME_UNKNOWN', { detail })
}
