/**
 * Searches for the index that names a manifest which this node knows nothing of, as after an eviction: a source that has the
 * manifest says which indexes have it as a child. Whether one of those may come here is looked at afterwards.
 */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'
import type { AskingSource } from '../transfer/asking-source.ts'
import type { Fetcher } from '../transfer/fetcher.ts'
import type { Ask } from './image-bringer.ts'
import { createOrderedFlights } from './ordered-flights.ts'

export interface IndexSearches {
  /** Indexes, as far as a source says: nothing is believed of it. */
  indexesNaming(repository: RepositoryName, digest: Digest, ask: Ask): Promise<readonly Digest[]>
}

/** At a time; more end with nothing found. Each costs a request to every source: clients may ask for digests that nobody has. */
const MAX_SEARCHES = 32

export function createIndexSearches(deps: {
  readonly self: NodeName
  readonly fetcher: Pick<Fetcher, 'manifest'>
  readonly isAsking: AskingSource['isAsking']
}): IndexSearches {
  const flights = createOrderedFlights<readonly Digest[]>(deps)
  let running = 0

  return {
    indexesNaming: async (repository, digest, { signal, asking }) => {
      if (running >= MAX_SEARCHES || deps.isAsking(digest, asking)) return []
      const fly = async (flight: AbortSignal) => {
        const options = { signal: flight, asking, isLook: true }
        const pull = await deps.fetcher.manifest(repository, { digest }, digest, options)
        return pull.kind === 'pulled' ? (pull.namedBy ?? []) : []
      }
      running += 1
      try {
        return await flights.join(`${repository}@${digest}`, asking, fly, signal)
      } catch {
        return []
      } finally {
        running -= 1
      }
    },
  }
}
