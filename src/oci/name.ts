/** Repository names, tags and references (OCI distribution-spec, "Pulling manifests"). */
import { type Digest, parseDigest } from './digest.ts'

export type RepositoryName = string & { readonly __brand: 'RepositoryName' }
export type Tag = string & { readonly __brand: 'Tag' }
/** A tag, or a digest for a manifest pushed by digest. */
export type Reference = Tag | Digest

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
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
