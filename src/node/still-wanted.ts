/** Whether a job that nobody could serve is worth waiting for. */
import { isDigest, type RepositoryName } from '../oci/name.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { Job } from '../queue/job.ts'
import { visibleOf } from '../record/history.ts'
import type { Ledger } from '../storage/ledger.ts'
import { flow, sourcesOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Dispatcher } from '../worker/dispatcher.ts'

export interface StillWantedDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly ledger: Pick<Ledger, 'entry'>
  readonly neighbours: Pick<Neighbours, 'isUp'>
  readonly dispatcher: Pick<Dispatcher, 'isAsked'>
}

/**
 * A manifest by digest may be known where nobody has it any more: a part of an image that was replaced before anybody fetched it.
 * After so many tries in vain, half a minute, with every source there to be asked, it is given up until one of them has it.
 */
const TRIES_BY_DIGEST = 3

export function createStillWanted(deps: StillWantedDeps): (job: Job) => boolean {
  const { topology, self, ledger, neighbours, dispatcher } = deps
  const sources = sourcesOf(topology, self).map((node) => ({
    node,
    filter: flow(topology, node, self),
  }))
  const areAllUp = (repository: RepositoryName) =>
    sources.every(({ node, filter }) => neighbours.isUp(node) || !filter.reads(repository))

  return ({ repository, digest, references, vainTries }) =>
    [...references].some((reference) => {
      const key = { repository, reference }
      if (dispatcher.isAsked(key)) return true
      if (visibleOf(ledger.entry(key)?.history ?? [])?.record.digest !== digest) return false
      return !isDigest(reference) || vainTries < TRIES_BY_DIGEST || !areAllUp(repository)
    })
}
