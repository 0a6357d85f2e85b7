/** Which neighbours hold which manifest, as their feeds said: whole, or for which platforms. A hint: whoever does not have it answers 404. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { coversPlatforms, unitePlatforms } from '../topology/platforms.ts'
import type { NodeName, Platforms } from '../topology/topology.ts'

export interface Holders {
  /** Whole, where no platforms are named. */
  note(
    node: NodeName,
    repository: RepositoryName,
    digest: Digest,
    platforms?: readonly string[],
  ): void
  /** It said that it does not have it for these platforms: a claim for others stays. */
  forget(node: NodeName, repository: RepositoryName, digest: Digest, platforms?: Platforms): void
  /** Nothing that it said counts any more: its feed began again. */
  forgetNode(node: NodeName): void
  /** Who has all of these platforms: by default everything; of none (`[]`) whoever has anything. */
  of(repository: RepositoryName, digest: Digest, platforms?: Platforms): ReadonlySet<NodeName>
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
  const holders = new Map<string, Map<NodeName, Platforms>>()
  const keyOf = (repository: RepositoryName, digest: Digest) => `${repository}@${digest}`

  function remove(node: NodeName, key: string, platforms: Platforms = []): void {
    const nodes = holders.get(key)
    if (!coversPlatforms(nodes?.get(node) ?? 'all', platforms)) return
    nodes?.delete(node)
    if (nodes?.size === 0) holders.delete(key)
  }

  return {
    note: (node, repository, digest, platforms) => {
      const key = keyOf(repository, digest)
      const nodes = holders.get(key) ?? new Map<NodeName, Platforms>()
      // Taken out and put back: the map's order is the order of the last note.
      holders.delete(key)
      const claim = unitePlatforms(nodes.get(node), platforms ?? 'all') ?? 'all'
      holders.set(key, nodes.set(node, claim))
      if (holders.size <= limit) return
      const [oldest] = holders.keys()
      if (oldest !== undefined) holders.delete(oldest)
    },
    forget: (node, repository, digest, platforms = 'all') =>
      remove(node, keyOf(repository, digest), platforms),
    forgetNode: (node) => {
      for (const key of holders.keys()) remove(node, key)
    },
    of: (repository, digest, platforms = 'all') => {
      const nodes = holders.get(keyOf(repository, digest))
      if (nodes === undefined) return NOBODY
      const able = [...nodes].filter(([, claim]) => coversPlatforms(claim, platforms))
      return new Set(able.map(([node]) => node))
    },
    count: () => holders.size,
  }
}
