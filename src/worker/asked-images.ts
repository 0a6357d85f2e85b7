/** Images that clients asked for lately, as far as their manifests are known: in memory, the one asked for longest ago goes first. */
import type { Digest } from '../oci/digest.ts'
import type { Child, Descriptor, Manifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { RecordKey } from '../record/tag-record.ts'
import type { StoredManifest } from '../storage/content.ts'
import type { Platforms } from '../topology/topology.ts'

/** Some kilobytes each. */
const MAX_IMAGES = 500
/** Of all their manifests: a single one may have megabytes. */
const MAX_BYTES = 32 * 1024 * 1024

export interface AskedImage {
  readonly key: RecordKey
  readonly root: Digest
  /** What of it may come so. */
  readonly platforms: Platforms
  readonly parts: Parts
}

interface Part {
  readonly blob: Descriptor
  /** The manifest that names it. */
  readonly of: Digest
}

interface Parts {
  readonly manifests: Map<Digest, StoredManifest>
  readonly children: Map<Digest, Child>
  readonly blobs: Map<Digest, Part>
  /** Of the manifests. */
  bytes: number
}

export interface AskedImages {
  /** It is asked for now, by this key; what is known of it stays known. */
  note(asked: Omit<AskedImage, 'parts'>): AskedImage
  keep(image: AskedImage, stored: StoredManifest, manifest: Manifest): void
  /** Images of the repository that the digest is, or is a part of. */
  naming(repository: RepositoryName, digest: Digest): readonly AskedImage[]
  withBlob(
    repository: RepositoryName,
    digest: Digest,
  ): (Part & { readonly image: AskedImage }) | undefined
}

export function createAskedImages(): AskedImages {
  const images = new Map<string, AskedImage>()
  let bytes = 0

  function makeRoom(): void {
    for (const [name, { parts }] of images) {
      if (images.size <= MAX_IMAGES && (bytes <= MAX_BYTES || images.size === 1)) return
      images.delete(name)
      bytes -= parts.bytes
    }
  }

  return {
    note: (asked) => {
      const name = nameOf(asked)
      const parts = images.get(name)?.parts ?? {
        manifests: new Map(),
        children: new Map(),
        blobs: new Map(),
        bytes: 0,
      }
      const image = { ...asked, parts }
      images.delete(name)
      images.set(name, image)
      makeRoom()
      return image
    },
    keep: (image, stored, manifest) => {
      const { parts } = image
      if (parts.manifests.has(stored.digest)) return
      parts.manifests.set(stored.digest, stored)
      for (const one of manifest.manifests) parts.children.set(one.digest, one)
      for (const blob of manifest.blobs) parts.blobs.set(blob.digest, { blob, of: stored.digest })
      parts.bytes += stored.bytes.length
      // It may have gone while its manifest came.
      if (images.get(nameOf(image))?.parts !== parts) return
      bytes += stored.bytes.length
      makeRoom()
    },
    naming: (repository, digest) =>
      [...images.values()].filter(
        ({ key, root, parts }) =>
          key.repository === repository && (root === digest || parts.children.has(digest)),
      ),
    withBlob: (repository, digest) => {
      for (const image of images.values()) {
        if (image.key.repository !== repository) continue
        const part = image.parts.blobs.get(digest)
        if (part !== undefined) return { image, ...part }
      }
      return undefined
    },
  }
}

function nameOf({ key, root }: Pick<AskedImage, 'key' | 'root'>): string {
  return `${key.repository}@${root}`
}
