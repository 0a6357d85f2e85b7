/** Names of images, as people write them on the command line. */
import { EntrepotError } from '../lib/errors.ts'

export interface ImageName {
  readonly repository: string
  readonly reference?: string
}

/** REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST. @throws CONFIG_INVALID */
export function parseImage(image: string): ImageName {
  const [, repository, digest, tag] = /^([^:@]+)(?:@(.+)|:([^/]+))?$/.exec(image) ?? []
  if (repository === undefined) {
    throw new EntrepotError(
      'CONFIG_INVALID',
      `expected REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, got ${image}`,
    )
  }
  const reference = digest ?? tag
  return reference === undefined ? { repository } : { repository, reference }
}
