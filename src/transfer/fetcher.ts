/** Fetches content of other nodes for whoever asks here: one flight per blob, progress to all who wait for it. */
import type { EventBus } from '../events/event-bus.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Attempt, Failure } from './attempts.ts'
import { createFlights } from './flights.ts'
import { type BlobPull, type PullBlobOptions, pullBlob } from './pull-blob.ts'
import { type ManifestPull, pullManifest } from './pull-manifest.ts'
import type { RegistrySource } from './registry-source.ts'

/** Which neighbours to ask, best first, and what asking them taught. */
export interface Sources {
  rank(repository: RepositoryName, digest: Digest): readonly NodeName[]
  /** A neighbour did not give what it was asked for. */
  failed(attempt: Attempt): void
}

export interface Fetcher {
  manifest(
    repository: RepositoryName,
    digest: Digest,
    options: { readonly signal: AbortSignal },
  ): Promise<ManifestPull | Failure>
  /** `image` is the manifest whose holders are asked: who holds it, holds its blobs. */
  blob(
    repository: RepositoryName,
    image: Digest,
    blob: Descriptor,
    options: FetchBlobOptions,
  ): Promise<BlobPull | Failure>
}

export interface FetchBlobOptions extends PullBlobOptions {
  /** The file that is here has other bytes: it is no reason not to fetch, and is replaced. */
  readonly isDamaged?: boolean
}

export interface FetcherDeps {
  readonly source: RegistrySource
  readonly blobs: BlobStore
  readonly sources: Sources
  readonly events: EventBus
}

export function createFetcher({ source, blobs, sources, events }: FetcherDeps): Fetcher {
  const flights = createFlights<BlobPull | Failure>()
  const watchers = new Map<Digest, Set<(bytes: number) => void>>()
  const onAttempt = (attempt: Attempt) => sources.failed(attempt)
  const onFetched = (digest: Digest, sizeBytes: number, from: NodeName) =>
    events.emit({ kind: 'blob-fetched', digest, sizeBytes, from })

  return {
    manifest: (repository, digest, { signal }) => {
      const target = { repository, digest, sources: sources.rank(repository, digest) }
      return pullManifest({ source, onAttempt }, target, { signal })
    },
    blob: async (repository, image, blob, { signal, onProgress, isDamaged = false }) => {
      const { digest } = blob
      const watching = watchers.get(digest) ?? new Set()
      watchers.set(digest, watching.add(onProgress))
      const tell = (bytes: number) => {
        for (const watcher of watching) watcher(bytes)
      }
      const fly = async (flightSignal: AbortSignal): Promise<BlobPull | Failure> => {
        // Another job's flight may have brought it since this one looked what is missing.
        const here = isDamaged ? undefined : await blobs.stat(digest)
        if (here?.size === blob.size) return { kind: 'pulled', from: undefined }
        const target = { repository, digest, sources: sources.rank(repository, image), blob }
        // Who holds an image holds its blobs: one that lacks a blob is no holder of the image.
        const onBlobAttempt = (attempt: Attempt) => sources.failed({ ...attempt, digest: image })
        const deps = { source, blobs, onAttempt: onBlobAttempt, onFetched }
        return pullBlob(deps, target, { signal: flightSignal, onProgress: tell })
      }
      try {
        return await flights.join(digest, fly, signal)
      } finally {
        watching.delete(onProgress)
        if (watching.size === 0) watchers.delete(digest)
      }
    },
  }
}
