/** Names of images, as people write them on the command line. */
import { EntrepotError } from '../lib/errors.ts'
import { parseReference, parseRepositoryName } from '../oci/name.ts'

export interface ImageName {
  readonly repository: string
  readonly reference?: string
}

/** REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, without the host of a registry. @throws CONFIG_INVALID */
export function parseImage(image: string): ImageName {
  const [, repository = '', digest, tag] = /^([^:@]+)(?:@(.+)|:([^/]+))?$/.exec(image) ?? []
  const reference = digest ?? tag
  const isName = parseRepositoryName(repository) !== undefined
  if (isName && reference === undefined) return { repository }
  if (isName && reference !== undefined && parseReference(reference) !== undefined) {
    return { repository, reference }
  }
  const expected =
    'expected REPOSITORY, REPOSITORY:TAG or REPOSITORY@sha256:<64 hex digits>, without the host of a registry'
  throw new EntrepotError('CONFIG_INVALID', `${expected}; got ${image}`)
}
