/** Reads REPOSITORY:TAG. */
import { parseRepositoryName, parseTag } from '../oci/name.ts'
import type { Image } from './ways.ts'

/** Undefined where it is none. */
export function imageOf(text: string): Image | undefined {
  const at = text.lastIndexOf(':')
  const [repository, tag] = [parseRepositoryName(text.slice(0, at)), parseTag(text.slice(at + 1))]
  return at === -1 || repository === undefined || tag === undefined
    ? undefined
    : { repository, tag }
}
