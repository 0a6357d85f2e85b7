/** What the collector found unused: each item with the reason, and when it goes. */
import type { CollectedKind } from '../events/mesh-event.ts'
import type { RepositoryName } from '../oci/name.ts'

export interface CollectedItem {
  readonly kind: CollectedKind
  readonly repository?: RepositoryName
  /** Digest, stage name or session id. */
  readonly name: string
  /** Bytes: of the file for a blob, a stage and an upload; of what the row names for the others. */
  readonly bytes: number
  /** For a person. */
  readonly reason: string
  /** Milliseconds since the Unix epoch; it goes in the first run after that. */
  readonly dueAtMs: number
  /** Gone, or would be gone without `dryRun`. */
  readonly isDue: boolean
}

export interface Graces {
  /** Milliseconds that a manifest stays once nothing shows it: clients pin digests. */
  readonly supersededMs: number
  /** Milliseconds that blobs, stages and uploads stay without a user, and anything that a client asked for. */
  readonly unusedMs: number
}
