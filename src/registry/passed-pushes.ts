/** What was pushed through this node a moment ago: until it has come back by the mesh, its readers are answered by the writer. */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'

export interface PassedPushes {
  note(repository: RepositoryName, reference: Reference, digest: Digest): void
  /** Of the last push of the reference, or of a blob by its digest; undefined when that was long ago. */
  digestOf(repository: RepositoryName, reference: Reference): Digest | undefined
}

/** Milliseconds: whoever reads later takes what the mesh has brought, or has not. */
const FRESH_MS = 300_000
/** Manifests and blobs, some 300 bytes each. When full, the one of longest ago is forgotten. */
const MAX_PUSHES = 10_000

export function createPassedPushes({ clock }: { readonly clock: Clock }): PassedPushes {
  /** Longest ago first. */
  const pushes = new Map<string, { readonly digest: Digest; readonly atMs: number }>()
  return {
    note: (repository, reference, digest) => {
      const key = `${repository} ${reference}`
      pushes.delete(key)
      pushes.set(key, { digest, atMs: clock.now() })
      const [oldest] = pushes.keys()
      if (pushes.size > MAX_PUSHES && oldest !== undefined) pushes.delete(oldest)
    },
    digestOf: (repository, reference) => {
      const found = pushes.get(`${repository} ${reference}`)
      // A clock that was put back must not make it new for ever.
      const isFresh = found !== undefined && Math.abs(clock.now() - found.atMs) < FRESH_MS
      return isFresh ? found.digest : undefined
    },
  }
}
