/** Lists: tags of a repository, repositories of the registry, referrers of a manifest; in order, in pages. */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Page, ReferrerDescriptor, ReferrerOptions } from '../storage/content.ts'
import { askingOf, type RegistryDeps, type RegistryRequest, unauthorized } from './request.ts'

/** Names in one page, at most and by default: distribution's bound; a client asks for the next page by Link. */
const MAX_PAGE = 1000
/** Bytes of a page of referrers: clients read it as an index, which has at most 4 MiB; its frame is less than 1 KiB. */
const MAX_REFERRERS_BYTES = 4 * 1024 * 1024 - 1_024
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'

export async function listTags(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
): Promise<Response> {
  const { limit, after } = pageOf(request)
  // One more than asked for: whether there is a next page.
  const tags = await allTags(deps, repository, { after, limit: limit + 1 })
  if (tags.length === 0 && !(await isKnown(deps, repository)))
    throw new OciError('NAME_UNKNOWN', { detail: { repository } })
  const page = tags.slice(0, limit)
  const link = nextLink(
    `/v2/${repository}/tags/list`,
    limit,
    tags.length > limit ? page.at(-1) : undefined,
  )
  return json({ name: repository, tags: page }, link)
}

/** With those that come when they are asked for: what is listed can be pulled, whether it was before or not. */
async function allTags(
  { content, onRequest }: RegistryDeps,
  repository: RepositoryName,
  page: Page,
): Promise<readonly Tag[]> {
  const here = await content.tags(repository, page)
  const others = (await onRequest?.tags(repository, page)) ?? []
  return others.length === 0 ? here : [...new Set([...here, ...others])].sort().slice(0, page.limit)
}

async function isKnown(deps: RegistryDeps, repository: RepositoryName): Promise<boolean> {
  if (deps.content.hasRepository(repository)) return true
  return (await allTags(deps, repository, { limit: 1 })).length > 0
}

export async function listRepositories(
  deps: RegistryDeps,
  request: RegistryRequest,
): Promise<Response> {
  const { access, content } = deps
  const { caller } = request
  if (access.mayList(caller).kind !== 'allowed') throw unauthorized()
  const { limit, after } = pageOf(request)
  const page: RepositoryName[] = []
  let last = after
  for (;;) {
    const names = await content.repositories({ after: last, limit: limit + 1 })
    for (const name of names) {
      if (access.may(caller, 'pull', name).kind === 'allowed') page.push(name)
    }
    last = names.at(-1) ?? last
    if (page.length > limit || names.length <= limit) break
  }
  const shown = page.slice(0, limit)
  const link = nextLink('/v2/_catalog', limit, page.length > limit ? shown.at(-1) : undefined)
  return json({ repositories: shown }, link)
}

export async function listReferrers(
  deps: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  digest: Digest,
): Promise<Response> {
  const artifactType = request.query.get('artifactType') ?? undefined
  const { limit, after } = pageOf(request)
  const manifests: ReferrerDescriptor[] = []
  let bytes = 0
  let last: Digest | undefined
  for await (const one of allReferrers(deps, request, repository, digest, {
    after,
    artifactType,
  })) {
    bytes += Buffer.byteLength(JSON.stringify(one)) + 1
    // The first one always: a page without a member would never end.
    const isFull = bytes > MAX_REFERRERS_BYTES && manifests.length > 0
    if (isFull || manifests.length === limit) {
      last = manifests.at(-1)?.digest
      break
    }
    manifests.push(one)
  }
  const filter = artifactType === undefined ? {} : { artifactType }
  const headers = {
    'content-type': OCI_INDEX,
    ...(artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
    ...nextLink(`/v2/${repository}/referrers/${digest}`, limit, last, filter),
  }
  return json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, headers)
}

/** With those that come when they are asked for, in the order of their digests. */
async function* allReferrers(
  { content, onRequest }: RegistryDeps,
  request: RegistryRequest,
  repository: RepositoryName,
  digest: Digest,
  options: ReferrerOptions,
): AsyncGenerator<ReferrerDescriptor> {
  const { after = '', artifactType } = options
  const brought = (await onRequest?.referrers(repository, digest, askingOf(request))) ?? []
  const others = brought
    .filter((one) => one.digest > after)
    .filter((one) => artifactType === undefined || one.artifactType === artifactType)
    .sort((a, b) => (a.digest < b.digest ? -1 : 1))
  for await (const one of content.referrers(repository, digest, options)) {
    while (others[0] !== undefined && others[0].digest < one.digest) yield* others.splice(0, 1)
    if (others[0]?.digest === one.digest) others.shift()
    yield one
  }
  yield* others
}

function pageOf({ query }: RegistryRequest): {
  readonly limit: number
  readonly after: string | undefined
} {
  const text = query.get('n')
  const n = text === null ? MAX_PAGE : Number(text)
  if (!Number.isInteger(n) || n < 0) {
    const message = `expected ?n= to be a whole number, got "${text}"`
    throw new OciError('UNSUPPORTED', { message, status: 400 })
  }
  return { limit: Math.min(n, MAX_PAGE), after: query.get('last') ?? undefined }
}

function nextLink(
  path: string,
  limit: number,
  last: string | undefined,
  filter: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  if (last === undefined) return {}
  const query = new URLSearchParams({ ...filter, n: String(limit), last })
  return { link: `<${path}?${query.toString()}>; rel="next"` }
}

function json(body: object, headers: Readonly<Record<string, string>>): Response {
  return new Response(JSON.stringify(body), {
    headers: { 'content-type': 'application/json', ...headers },
  })
}
