/** Which neighbours hold which manifest whole, as their feeds said. A hint: whoever does not have it answers 404. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'

export interface Holders {
  note(node: NodeName, repository: RepositoryName, digest: Digest): void
  /** It said that it does not have it. */
  forget(node: NodeName, repository: RepositoryName, digest: Digest): void
  /** Nothing that it said counts any more: its feed began again. */
  forgetNode(node: NodeName): void
  of(repository: RepositoryName, digest: Digest): ReadonlySet<NodeName>
  count(): number
}

/** Manifests remembered: about 200 bytes each. Beyond it the one noted longest ago goes, and is asked for blindly. */
const MAX_MANIFESTS = 100_000
const NOBODY: ReadonlySet<NodeName> = new Set()

export function createHolders({
  limit = MAX_MANIFESTS,
}: {
  readonly limit?: number
} = {}): Holders {
  const holders = new Map<string, Set<NodeName>>()
  const keyOf = (repository: RepositoryName, digest: Digest) => `${repository}@${digest}`

  function remove(node: NodeName, key: string): void {
    const nodes = holders.get(key)
    nodes?.delete(node)
    if (nodes?.size === 0) holders.delete(key)
  }

  return {
    note: (node, repository, digest) => {
      const key = keyOf(repository, digest)
      const nodes = holders.get(key) ?? new Set()
      // Taken out and put back: the map's order is the order of the last note.
      holders.delete(key)
      holders.set(key, nodes.add(node))
      if (holders.size <= limit) return
      const [oldest] = holders.keys()
      if (oldest !== undefined) holders.delete(oldest)
    },
    forget: (node, repository, digest) => remove(node, keyOf(repository, digest)),
    forgetNode: (node) => {
      for (const key of holders.keys()) remove(node, key)
    },
    of: (repository, digest) => holders.get(keyOf(repository, digest)) ?? NOBODY,
    count: () => holders.size,
  }
}
