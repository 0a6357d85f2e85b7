/** A source that is watched: which blobs come from whom at this moment, for whoever asks why something takes its time. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'
import type { RegistrySource } from './registry-source.ts'

export interface Watch {
  begin(what: {
    readonly node: NodeName
    readonly repository: RepositoryName
    readonly digest: Digest
  }): Watched
}

export interface Watched {
  add(bytes: number): void
  end(): void
}

/** Tells of a blob's transfer until its body is read to the end or given up. */
export function createWatchedSource(source: RegistrySource, watch: Watch): RegistrySource {
  return {
    manifest: (...ask) => source.manifest(...ask),
    blob: async (node, repository, digest, options) => {
      const transfer = watch.begin({ node, repository, digest })
      try {
        const answer = await source.blob(node, repository, digest, options)
        if (answer.kind === 'blob') return { ...answer, body: counted(answer.body, transfer) }
        transfer.end()
        return answer
      } catch (err) {
        transfer.end()
        throw err
      }
    },
  }
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  transfer: Watched,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      transfer.add(chunk.length)
      yield chunk
    }
  } finally {
    transfer.end()
  }
}
