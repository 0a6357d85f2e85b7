/**
 * distribution's layout on disk, path by path, relative to the data directory; other registries can serve it.
 *
 *   docker/registry/v2/
 *     blobs/<algorithm>/<2 hex>/<hex>/data
 *     repositories/<name>/
 *       _layers/<algorithm>/<hex>/link
 *       _manifests/revisions/<algorithm>/<hex>/link
 *       _manifests/tags/<tag>/current/link
 *       _manifests/tags/<tag>/index/<algorithm>/<hex>/link
 *
 * A link holds a digest, without a newline.
 */
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'

const ROOT = 'docker/registry/v2'

export const BLOBS_PATH = `${ROOT}/blobs`

export function blobDirectoryPath(digest: Digest): string {
  const hex = hexOf(digest)
  return `${BLOBS_PATH}/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
}

export function layerLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${repositoryPath(repository)}/_layers/${digestPath(digest)}/link`
}

export function revisionLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${repositoryPath(repository)}/_manifests/revisions/${digestPath(digest)}/link`
}

export function tagPath(repository: RepositoryName, tag: Tag): string {
  return `${repositoryPath(repository)}/_manifests/tags/${tag}`
}

export function tagCurrentLinkPath(repository: RepositoryName, tag: Tag): string {
  return `${tagPath(repository, tag)}/current/link`
}

export function tagIndexLinkPath(repository: RepositoryName, tag: Tag, digest: Digest): string {
  return `${tagPath(repository, tag)}/index/${digestPath(digest)}/link`
}

function repositoryPath(repository: RepositoryName): string {
  return `${ROOT}/repositories/${repository}`
}

function digestPath(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`
}
