/** Repository names, tags and references (OCI distribution-spec, "Pulling manifests"). */
import { type Digest, digestOf, parseDigest } from './digest.ts'

export type RepositoryName = string & { readonly __brand: 'RepositoryName' }
export type Tag = string & { readonly __brand: 'Tag' }
/** A tag, or a digest for a manifest pushed by digest. */
export type Reference = Tag | Digest

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const MAX_TAG_LENGTH = 128
/** Of the hash that tells apart what was cut; with the dash before it. */
const CUT_LENGTH = 9
/** Clients limit host and name together to 255 characters (distribution-spec); 255 is also the limit of a file name. */
const MAX_REPOSITORY_LENGTH = 255

export function parseRepositoryName(text: string): RepositoryName | undefined {
  if (text.length > MAX_REPOSITORY_LENGTH || !REPOSITORY.test(text)) return undefined
  return text as RepositoryName
}

export function parseTag(text: string): Tag | undefined {
  return TAG.test(text) ? (text as Tag) : undefined
}

export function parseReference(text: string): Reference | undefined {
  return parseDigest(text) ?? parseTag(text)
}

export function isDigest(reference: Reference): reference is Digest {
  return reference.includes(':')
}

/**
 * The tag with `suffix`, which is in the grammar of tags and at most 100 characters long. A tag that would be too long is
 * cut, and the hash of the whole tells it apart from others that begin alike.
 */
export function withSuffix(tag: Tag, suffix: string): Tag {
  if (tag.length + suffix.length <= MAX_TAG_LENGTH) return `${tag}${suffix}` as Tag
  const hash = digestOf(Buffer.from(tag)).slice('sha256:'.length)
  const kept = tag.slice(0, MAX_TAG_LENGTH - suffix.length - CUT_LENGTH)
  return `${kept}-${hash.slice(0, CUT_LENGTH - 1)}${suffix}` as Tag
}
