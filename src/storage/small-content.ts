/** Small content in memory, in front of a blob store: manifests, configs and small layers are most of what clients ask for. */
import { LRUCache } from 'lru-cache'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import type { BlobStore } from './blob-store.ts'

/** Content up to here is small, bytes: beyond it the disk's cache and one copy to the socket are as fast. */
export const SMALL_CONTENT_BYTES = 128 * 1024
/** Of all of it together, bytes: a node of a small machine keeps within its memory, and 500 images have their small parts here. */
const CACHE_BYTES = 32 * 1024 * 1024

/**
 * A store that answers for small content from memory. What it takes in has been hashed: a file with wrong bytes reads as
 * absent here, and what is in memory is right whatever happens to its file.
 */
export function withSmallContent(blobs: BlobStore): BlobStore {
  const cache = new LRUCache<Digest, Uint8Array>({
    maxSize: CACHE_BYTES,
    // An empty blob counts too: the cache takes only positive sizes.
    sizeCalculation: ({ length }) => length + 1,
  })
  /** Begun and ended ones: a read that sees another number when it is over may have met one. */
  let deletions = 0

  function keep(digest: Digest, bytes: Uint8Array): void {
    if (bytes.length <= SMALL_CONTENT_BYTES) cache.set(digest, bytes)
  }

  return {
    ...blobs,
    stat: async (digest) => {
      const bytes = cache.get(digest)
      return bytes === undefined ? blobs.stat(digest) : { size: bytes.length }
    },
    readAll: async (digest) => {
      const known = cache.get(digest)
      if (known !== undefined) return known
      const before = deletions
      const bytes = await blobs.readAll(digest)
      if (bytes === undefined || bytes.length > SMALL_CONTENT_BYTES) return bytes
      if (digestOf(bytes, algorithmOf(digest)) !== digest) return undefined
      // Read before it was deleted, perhaps: it must not be taken for being there.
      if (deletions === before) keep(digest, bytes)
      return bytes
    },
    put: async (digest, bytes) => {
      const before = deletions
      await blobs.put(digest, bytes)
      // A copy: what was pushed is often a view of a larger buffer, which would stay in memory with it.
      if (deletions === before) keep(digest, Uint8Array.from(bytes))
    },
    delete: async (digest) => {
      deletions += 1
      cache.delete(digest)
      const isGone = await blobs.delete(digest)
      deletions += 1
      cache.delete(digest)
      return isGone
    },
  }
}
