/** Entity tags: of content by digest the digest itself, quoted (RFC 9110 section 8.8.3). */
import type { Digest } from '../oci/digest.ts'

export function entityTag(digest: Digest): string {
  return `"${digest}"`
}

/** Whether an If-None-Match names the digest: a list, weak tags and `*` too (RFC 9110 section 13.1.2). */
export function namesDigest(header: string | undefined, digest: Digest): boolean {
  if (header === undefined) return false
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(entityTag(digest))
}
