/** Manifests by tag and digest: byte for byte as pushed. */
import { readAtMost } from '../lib/read-at-most.ts'
import { OciError } from '../oci/errors.ts'
import { isDigest, parseTag, type Reference, type RepositoryName, type Tag } from '../oci/name.ts'
import type { ManifestStat, StoredManifest } from '../storage/content.ts'
import { sendBytes } from './blob-body.ts'
import { IMMUTABLE } from './blob-routes.ts'
import { entityTag, namesDigest } from './entity-tag.ts'
import {
  askingOf,
  type BroughtManifest,
  LOOK_HEADER,
  NAMED_BY_HEADER,
  type RegistryDeps,
  type RegistryRequest,
} from './request.ts'

export async function getManifest(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  reference: Reference,
): Promise<Response> {
  const known = request.header('if-none-match')
  const brought = await bring(deps, request, repository, reference)
  if (request.method === 'HEAD' || known !== undefined) {
    const stat =
      brought === undefined
        ? await deps.content.statManifest(repository, reference)
        : statOf(brought)
    if (stat === undefined) throw unknown(deps, repository, reference)
    const headers = headersOf(deps, request, { repository, reference, stat })
    if (namesDigest(known, stat.digest)) return new Response(null, { status: 304, headers })
    if (request.method === 'HEAD') return new Response(null, { headers })
  }
  // One that is damaged is as good as absent, so that clients ask another node.
  const manifest = brought ?? (await deps.content.readManifest(repository, reference))
  if (manifest === undefined) throw unknown(deps, repository, reference)
  if (!isLook(request)) deps.pulled?.(repository, manifest.digest)
  const { bytes } = manifest
  const headers = headersOf(deps, request, {
    repository,
    reference,
    stat: statOf(brought ?? manifest),
  })
  return sendBytes(request, bytes, { status: 200, headers })
}

/** What comes because it is asked for. A tag may have moved on since it was; of a digest what is here is right. */
async function bring(
  { content, onRequest }: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  reference: Reference,
): Promise<BroughtManifest | undefined> {
  if (onRequest === undefined) return undefined
  const isHere =
    isDigest(reference) && (await content.statManifest(repository, reference)) !== undefined
  if (isHere) return undefined
  const options = { isLook: isLook(request) }
  return onRequest.manifest(repository, reference, askingOf(request), options)
}

/** Whoever asks for a head wants to know what there is: programs that watch tags do so all day. */
function isLook({ method, header }: RegistryRequest): boolean {
  return method === 'HEAD' || header(LOOK_HEADER) !== undefined
}

type Stat = ManifestStat & Partial<Pick<BroughtManifest, 'root'>>

function statOf(manifest: StoredManifest & Pick<Stat, 'root'>): Stat {
  return { ...manifest, size: manifest.bytes.length }
}

function headersOf(
  { leases, content }: RegistryDeps,
  { caller }: RegistryRequest,
  {
    repository,
    reference,
    stat: { mediaType, size, digest, root },
  }: {
    readonly repository: RepositoryName
    readonly reference: Reference
    readonly stat: Stat
  },
): Readonly<Record<string, string>> {
  if (isDigest(reference)) leases.touch(reference)
  const headers = {
    'content-type': mediaType,
    'content-length': String(size),
    'docker-content-digest': digest,
    etag: entityTag(digest),
    'cache-control': isDigest(reference) ? IMMUTABLE : 'no-cache',
  }
  if (caller.kind !== 'node' || !isDigest(reference)) return headers
  const indexes = root === undefined ? content.indexesNaming(repository, digest) : [root]
  const others = indexes.filter((one) => one !== digest)
  return others.length === 0 ? headers : { ...headers, [NAMED_BY_HEADER]: others.join() }
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
  const bytes = await readAtMost(body(), limit)
  if (bytes === undefined) throw tooLarge(limit)
  return bytes
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
  const part = isDigest(reference) ? content.missingPart(repository, reference) : undefined
  if (part !== undefined) {
    const { index, platform = 'no stated platform', here } = part
    const held = here.length === 0 ? 'no platform' : here.join(', ')
    const message = `index ${index} is held here for ${held}; this manifest is of ${platform}: ask another node for it`
    return new OciError('MANIFEST_UNKNOWN', { message, detail: { ...detail, held: here } })
  }
  if (content.hasRepository(repository)) return new OciError('MANIFEST_UNKNOWN', { detail })
  return new OciError('NAME_UNKNOWN', { detail })
}
