/** The order in which sources are asked for content: who holds it before who might, who failed lately last. */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { flow, sourcesOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Holders } from './holders.ts'
import type { Neighbours } from './neighbours.ts'

export interface SourceRanking {
  /** Sources that are up and may let the repository through, best first. */
  rank(repository: RepositoryName, digest: Digest): readonly NodeName[]
  /** Asking did not help: absent takes the claim away, anything else moves the source back for a while. */
  failed(node: NodeName, repository: RepositoryName, digest: Digest, isAbsent: boolean): void
}

/** A source that failed is asked last for so long, milliseconds: about the time of a restart. */
const COOL_DOWN_MS = 10_000

export interface SourceRankingDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly neighbours: Neighbours
  readonly holders: Holders
  readonly clock: Clock
}

export function createSourceRanking(deps: SourceRankingDeps): SourceRanking {
  const { topology, self, neighbours, holders, clock } = deps
  const candidates = sourcesOf(topology, self).map((node) => ({
    node,
    filter: flow(topology, node, self),
  }))
  const failedAtMs = new Map<NodeName, number>()
  const isCooling = (node: NodeName) =>
    Math.abs(clock.now() - (failedAtMs.get(node) ?? 0)) < COOL_DOWN_MS

  return {
    rank: (repository, digest) => {
      const known = holders.of(repository, digest)
      const weight = (node: NodeName) => (known.has(node) ? 0 : 1) + (isCooling(node) ? 2 : 0)
      return candidates
        .filter(({ node, filter }) => neighbours.isUp(node) && filter.reads(repository))
        .map(({ node }) => node)
        .sort((a, b) => weight(a) - weight(b))
    },
    failed: (node, repository, digest, isAbsent) => {
      if (isAbsent) holders.forget(node, repository, digest)
      else failedAtMs.set(node, clock.now())
    },
  }
}
