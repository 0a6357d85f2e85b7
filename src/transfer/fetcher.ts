/** Fetches content of other nodes for whoever asks here: one flight per blob, progress to all who wait for it. */
import type { EventBus } from '../events/event-bus.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { NodeName, Platforms } from '../topology/topology.ts'
import type { Attempt, Failure } from './attempts.ts'
import { createFlights } from './flights.ts'
import { type BlobPull, type PullBlobOptions, pullBlob } from './pull-blob.ts'
import { type ManifestPull, pullManifest } from './pull-manifest.ts'
import type { ManifestAsk, RegistrySource } from './registry-source.ts'

/** Which neighbours to ask, best first, and what asking them taught. */
export interface Sources {
  rank(repository: RepositoryName, digest: Digest, platforms?: Platforms): readonly NodeName[]
  /** A neighbour did not give what it was asked for. */
  failed(attempt: Attempt): void
}

export interface Fetcher {
  /** `image` is the manifest whose holders are asked: who holds it, holds its parts. */
  manifest(
    repository: RepositoryName,
    image: Image,
    digest: Digest,
    options: ManifestAsk,
  ): Promise<ManifestPull | Failure>
  blob(
    repository: RepositoryName,
    image: Image,
    blob: Descriptor,
    options: FetchBlobOptions,
  ): Promise<BlobPull | Failure>
}

export interface Image {
  readonly digest: Digest
  /** Which of its parts are asked for; all where it is absent. */
  readonly platforms?: Platforms
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

/** Whoever asks leaves at once when told to; the bytes that were on their way have ended when this is disposed of. */
export function createFetcher({
  source,
  blobs,
  sources,
  events,
}: FetcherDeps): Fetcher & AsyncDisposable {
  const flights = createFlights<BlobPull | Failure>()
  const watchers = new Map<Digest, Set<(bytes: number) => void>>()
  // Who holds an image holds its parts: one that lacks a part is no holder of the image.
  const onAttemptFor =
    ({ digest, platforms = 'all' }: Image) =>
    (attempt: Attempt) =>
      sources.failed({ ...attempt, digest, platforms })
  const rank = (repository: RepositoryName, { digest, platforms }: Image) =>
    sources.rank(repository, digest, platforms)
  const onFetched = (digest: Digest, sizeBytes: number, from: NodeName) =>
    events.emit({ kind: 'blob-fetched', digest, sizeBytes, from })

  return {
    manifest: (repository, image, digest, options) => {
      const target = { repository, digest, sources: rank(repository, image) }
      return pullManifest({ source, onAttempt: onAttemptFor(image) }, target, options)
    },
    blob: async (repository, image, blob, { signal, onProgress, isDamaged = false, ...rest }) => {
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
        const target = { repository, digest, sources: rank(repository, image), blob }
        const deps = { source, blobs, onAttempt: onAttemptFor(image), onFetched }
        return pullBlob(deps, target, { ...rest, signal: flightSignal, onProgress: tell })
      }
      try {
        return await flights.join(digest, fly, signal)
      } finally {
        watching.delete(onProgress)
        if (watching.size === 0) watchers.delete(digest)
      }
    },
    [Symbol.asyncDispose]: () => flights[Symbol.asyncDispose](),
  }
}
