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
export const REPOSITORIES_PATH = `${ROOT}/repositories`

export function blobDirectoryPath(digest: Digest): string {
  const hex = hexOf(digest)
  return `${BLOBS_PATH}/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
}

/** Of the file with the bytes. */
export function blobPath(digest: Digest): string {
  return `${blobDirectoryPath(digest)}/data`
}

export function layersPath(repository: RepositoryName): string {
  return `${repositoryPath(repository)}/_layers`
}

export function revisionsPath(repository: RepositoryName): string {
  return `${repositoryPath(repository)}/_manifests/revisions`
}

export function tagsPath(repository: RepositoryName): string {
  return `${repositoryPath(repository)}/_manifests/tags`
}

export function layerLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${layersPath(repository)}/${digestPath(digest)}/link`
}

export function revisionLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${revisionsPath(repository)}/${digestPath(digest)}/link`
}

export function tagPath(repository: RepositoryName, tag: Tag): string {
  return `${tagsPath(repository)}/${tag}`
}

export function tagCurrentLinkPath(repository: RepositoryName, tag: Tag): string {
  return `${tagPath(repository, tag)}/current/link`
}

export function tagIndexLinkPath(repository: RepositoryName, tag: Tag, digest: Digest): string {
  return `${tagIndexPath(repository, tag, digest)}/link`
}

/** One digest that the tag shows, or showed once. */
export function tagIndexPath(repository: RepositoryName, tag: Tag, digest: Digest): string {
  return `${tagPath(repository, tag)}/index/${digestPath(digest)}`
}

function repositoryPath(repository: RepositoryName): string {
  return `${REPOSITORIES_PATH}/${repository}`
}

function digestPath(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`
}
