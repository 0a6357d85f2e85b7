/**
 * The order in which sources are asked for content: who holds it before who might, peers before others where their link says so,
 * who failed lately last.
 */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { flow, sourcesOf } from '../topology/flow.ts'
import { distance } from '../topology/nearness.ts'
import type { NodeName, Platforms, Topology } from '../topology/topology.ts'
import type { Holders } from './holders.ts'
import type { Neighbours } from './neighbours.ts'
import type { TransferMeter } from './transfer-meter.ts'

export interface SourceRanking {
  /**
   * Sources that are up and may let the repository through, best first: their link is open, not failed lately, known to hold it,
   * near peers (`fetch: peers-first`), their link has no limit, fewer transfers under way, faster, name.
   */
  rank(repository: RepositoryName, digest: Digest, platforms?: Platforms): readonly NodeName[]
  /** Asking did not help: absent takes the claim away, anything else moves the source back for a while. */
  failed(node: NodeName, repository: RepositoryName, digest: Digest, how: Failed): void
}

export interface Failed {
  readonly isAbsent: boolean
  /** What it was asked for, of an index. */
  readonly platforms?: Platforms | undefined
}

/** A source that failed is asked last for so long, milliseconds: about the time of a restart. */
const COOL_DOWN_MS = 10_000
/** Of a source that is no peer: farther than any peer is. */
const NO_PEER = 3

export interface SourceRankingDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly neighbours: Pick<Neighbours, 'isUp'>
  readonly holders: Pick<Holders, 'of' | 'forget'>
  readonly clock: Clock
  /** Without it neither load nor speed counts. */
  readonly meter?: Pick<TransferMeter, 'running' | 'speed'>
  /** Bits a second at which the source may send now; undefined: as fast as it can. */
  readonly limit?: (node: NodeName) => number | undefined
}

export function createSourceRanking(deps: SourceRankingDeps): SourceRanking {
  const { topology, self, neighbours, holders, clock, meter, limit = () => undefined } = deps
  const candidates = sourcesOf(topology, self).map((node) => ({
    node,
    filter: flow(topology, node, self),
    isPeerFor: peerTest(topology, node, self),
    distance: distance(topology, node, self),
  }))
  const failedAtMs = new Map<NodeName, number>()
  const isCooling = (node: NodeName) => {
    const at = failedAtMs.get(node)
    return at !== undefined && Math.abs(clock.now() - at) < COOL_DOWN_MS
  }

  return {
    rank: (repository, digest, platforms) => {
      const known = holders.of(repository, digest, platforms)
      return candidates
        .filter(({ node, filter }) => neighbours.isUp(node) && filter.reads(repository))
        .map(({ node, isPeerFor, distance: far }) => {
          const bits = limit(node)
          const penalties = [bits === 0, isCooling(node), !known.has(node)]
          return {
            node,
            weight: penalties.reduce((sum, isBad) => sum * 2 + Number(isBad), 0),
            far: isPeerFor(repository) ? far : NO_PEER,
            isLimited: Number(bits !== undefined),
            running: meter?.running(node) ?? 0,
            speed: bits ?? meter?.speed(node) ?? 0,
          }
        })
        .sort(
          (a, b) =>
            a.weight - b.weight ||
            a.far - b.far ||
            a.isLimited - b.isLimited ||
            a.running - b.running ||
            b.speed - a.speed ||
            (a.node < b.node ? -1 : 1),
        )
        .map(({ node }) => node)
    },
    failed: (node, repository, digest, { isAbsent, platforms }) => {
      if (isAbsent) holders.forget(node, repository, digest, platforms)
      else failedAtMs.set(node, clock.now())
    },
  }
}

/** Whether a link with `fetch: peers-first` brings this node the repository from the other one. */
function peerTest(topology: Topology, from: NodeName, to: NodeName) {
  const policies = topology.groups
    .filter(
      ({ fetch, senders, receivers }) =>
        fetch === 'peers-first' && senders.includes(from) && receivers.includes(to),
    )
    .flatMap((group) => group.policies)
  return (repository: RepositoryName) =>
    policies.some((policy) => policy.matchesRepository(repository))
}
