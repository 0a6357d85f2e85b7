/**
 * Whom this node asks for what at the moment, and who waits for it: told to those who are asked. So two nodes that fetch on
 * request never wait for each other.
 */
import type { Digest } from '../oci/digest.ts'
import type { NodeName } from '../topology/topology.ts'
import type { RegistrySource } from './registry-source.ts'

export interface AskingSource extends RegistrySource {
  /** Whether one of the nodes is asked for it now: what it asks for in turn cannot come from here. */
  isAsking(digest: Digest, nodes: readonly NodeName[]): boolean
}

export function createAskingSource({
  source,
  self,
}: {
  readonly source: RegistrySource
  readonly self: NodeName
}): AskingSource {
  /** As many as transfers run. */
  const asked = new Map<Digest, NodeName[]>()

  function begin(node: NodeName, digest: Digest): () => void {
    asked.set(digest, [...(asked.get(digest) ?? []), node])
    return () => {
      const nodes = [...(asked.get(digest) ?? [])]
      const at = nodes.indexOf(node)
      if (at !== -1) nodes.splice(at, 1)
      if (nodes.length === 0) asked.delete(digest)
      else asked.set(digest, nodes)
    }
  }

  return {
    isAsking: (digest, nodes) => asked.get(digest)?.some((node) => nodes.includes(node)) === true,
    manifest: async (node, repository, digest, { asking = [], ...options }) => {
      const end = begin(node, digest)
      try {
        const chain = [...asking, self]
        return await source.manifest(node, repository, digest, { ...options, asking: chain })
      } finally {
        end()
      }
    },
    blob: async (node, repository, digest, { asking = [], ...options }) => {
      const end = begin(node, digest)
      try {
        const chain = [...asking, self]
        const answer = await source.blob(node, repository, digest, { ...options, asking: chain })
        if (answer.kind === 'blob') return { ...answer, body: ending(answer.body, end) }
        end()
        return answer
      } catch (err) {
        end()
        throw err
      }
    },
  }
}

async function* ending(
  body: AsyncIterable<Uint8Array>,
  end: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body
  } finally {
    end()
  }
}
