/** Which losers of a key stay, and under which tags: as the topology says, and so the same at every node. */
import type { RepositoryName } from '../oci/name.ts'
import type { History } from '../record/history.ts'
import { conflictOf, type LoserTag, loserTags, shortPeerId } from '../record/losers.ts'
import type { PeerId } from '../record/peer-id.ts'
import { nodeOfPeer, originOf } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'

export interface LoserTags {
  /** Whether losers of its tags stay under tags of their own. */
  keeps(repository: RepositoryName): boolean
  /** Of a key with that history; none where the repository does not keep them. */
  of(repository: RepositoryName, history: History): readonly LoserTag[]
}

export function createLoserTags(topology: Topology): LoserTags {
  const keeps = (repository: RepositoryName) => originOf(topology, repository)?.keepsLosers === true
  // A key that was replaced belongs to no node any more.
  const nameOf = (writer: PeerId) => nodeOfPeer(topology, writer) ?? shortPeerId(writer)
  return {
    keeps,
    of: (repository, history) => {
      const conflict = conflictOf(history)
      return conflict !== undefined && keeps(repository) ? loserTags(conflict, nameOf) : []
    },
  }
}
