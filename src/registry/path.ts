/** Paths under /v2/: repository names have slashes, so the end of the path says what is meant. */
import { type Digest, parseDigest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import {
  parseReference,
  parseRepositoryName,
  type Reference,
  type RepositoryName,
} from '../oci/name.ts'

export type Target =
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly repository: RepositoryName }
  | {
      readonly kind: 'manifest'
      readonly repository: RepositoryName
      readonly reference: Reference
    }
  | { readonly kind: 'blob'; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly repository: RepositoryName }
  | { readonly kind: 'upload'; readonly repository: RepositoryName; readonly id: string }
  | { readonly kind: 'referrers'; readonly repository: RepositoryName; readonly digest: Digest }

/** Longest first: a repository may be called `x/tags/list`'s parent, never the whole ending. */
const ENDINGS: readonly (readonly [
  RegExp,
  (repository: RepositoryName, rest: string, method: string) => Target,
])[] = [
  [/^(.*)\/blobs\/uploads\/?$/, (repository) => ({ kind: 'uploads', repository })],
  [/^(.*)\/blobs\/uploads\/([^/]+)$/, (repository, id) => ({ kind: 'upload', repository, id })],
  [
    /^(.*)\/blobs\/([^/]+)$/,
    (repository, text) => ({ kind: 'blob', repository, digest: digest(text) }),
  ],
  [
    /^(.*)\/manifests\/([^/]+)$/,
    (repository, text, method) => ({
      kind: 'manifest',
      repository,
      reference: reference(text, method),
    }),
  ],
  [
    /^(.*)\/referrers\/([^/]+)$/,
    (repository, text) => ({ kind: 'referrers', repository, digest: digest(text) }),
  ],
  [/^(.*)\/tags\/list$/, (repository) => ({ kind: 'tags', repository })],
]

/**
 * What a path below /v2/ means; undefined = nothing of this API.
 * @throws OciError NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID, MANIFEST_UNKNOWN for parts that are not of the grammar.
 */
export function parsePath(path: string, method: string): Target | undefined {
  if (path === '_catalog') return { kind: 'catalog' }
  for (const [pattern, make] of ENDINGS) {
    const match = pattern.exec(path)
    if (match?.[1] === undefined) continue
    const repository = parseRepositoryName(decode(match[1]))
    if (repository === undefined) {
      const message =
        'a repository name is lower-case letters, digits and . _ - between slashes, at most 255 characters'
      throw new OciError('NAME_INVALID', { message })
    }
    return make(repository, decode(match[2] ?? ''), method)
  }
  return undefined
}

/** The path of a target of a repository, as another registry has to be asked for it; its parts are of their grammars. */
export function pathOf(target: Exclude<Target, { readonly kind: 'catalog' }>): string {
  const base = `/v2/${target.repository}`
  switch (target.kind) {
    case 'tags':
      return `${base}/tags/list`
    case 'manifest':
      return `${base}/manifests/${target.reference}`
    case 'blob':
      return `${base}/blobs/${target.digest}`
    case 'referrers':
      return `${base}/referrers/${target.digest}`
    case 'uploads':
      return `${base}/blobs/uploads/`
    case 'upload':
      return `${base}/blobs/uploads/${encodeURIComponent(target.id)}`
  }
}

function digest(text: string): Digest {
  const parsed = parseDigest(text)
  if (parsed !== undefined) return parsed
  throw new OciError('DIGEST_INVALID', { message: 'expected sha256:<64 hex> or sha512:<128 hex>' })
}

/** A name that no manifest can have is an error where it is pushed; elsewhere there is nothing of that name. */
function reference(text: string, method: string): Reference {
  const parsed = parseReference(text)
  if (parsed !== undefined) return parsed
  if (text.includes(':')) return digest(text)
  const message = 'expected a tag (letters, digits, . _ -, at most 128 characters) or a digest'
  throw new OciError(method === 'PUT' ? 'MANIFEST_INVALID' : 'MANIFEST_UNKNOWN', { message })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new OciError('NAME_INVALID', { message: 'the path is not valid percent-encoding' })
  }
}
