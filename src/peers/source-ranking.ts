/** The order in which sources are asked for content: who holds it before who might, who failed lately last. */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { flow, sourcesOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Holders } from './holders.ts'
import type { Neighbours } from './neighbours.ts'
import type { TransferMeter } from './transfer-meter.ts'

export interface SourceRanking {
  /**
   * Sources that are up and may let the repository through, best first: not failed lately, known to hold it, fewer
   * transfers under way, faster, name.
   */
  rank(repository: RepositoryName, digest: Digest): readonly NodeName[]
  /** Asking did not help: absent takes the claim away, anything else moves the source back for a while. */
  failed(node: NodeName, repository: RepositoryName, digest: Digest, isAbsent: boolean): void
}

/** A source that failed is asked last for so long, milliseconds: about the time of a restart. */
const COOL_DOWN_MS = 10_000

export interface SourceRankingDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly neighbours: Pick<Neighbours, 'isUp'>
  readonly holders: Pick<Holders, 'of' | 'forget'>
  readonly clock: Clock
  /** Without it neither load nor speed counts. */
  readonly meter?: Pick<TransferMeter, 'running' | 'speed'>
}

export function createSourceRanking(deps: SourceRankingDeps): SourceRanking {
  const { topology, self, neighbours, holders, clock, meter } = deps
  const candidates = sourcesOf(topology, self).map((node) => ({
    node,
    filter: flow(topology, node, self),
  }))
  const failedAtMs = new Map<NodeName, number>()
  const isCooling = (node: NodeName) => {
    const at = failedAtMs.get(node)
    return at !== undefined && Math.abs(clock.now() - at) < COOL_DOWN_MS
  }

  return {
    rank: (repository, digest) => {
      const known = holders.of(repository, digest)
      return candidates
        .filter(({ node, filter }) => neighbours.isUp(node) && filter.reads(repository))
        .map(({ node }) => ({
          node,
          weight: (known.has(node) ? 0 : 1) + (isCooling(node) ? 2 : 0),
          running: meter?.running(node) ?? 0,
          speed: meter?.speed(node) ?? 0,
        }))
        .sort(
          (a, b) =>
            a.weight - b.weight ||
            a.running - b.running ||
            b.speed - a.speed ||
            (a.node < b.node ? -1 : 1),
        )
        .map(({ node }) => node)
    },
    failed: (node, repository, digest, isAbsent) => {
      if (isAbsent) holders.forget(node, repository, digest)
      else failedAtMs.set(node, clock.now())
    },
  }
}
