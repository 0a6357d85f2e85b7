/** Which writer takes a push that this node passes on: the nearest that lives, and the same one for all of a push. */
import type { Clock } from '../lib/clock.ts'
import type { RepositoryName } from '../oci/name.ts'
import { nearestFirst } from '../topology/nearness.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Neighbours } from './neighbours.ts'

export interface Writer {
  readonly name: NodeName
  /** Base URL of its registry, without a trailing slash. */
  readonly endpoint: string
}

export interface WriterChoice {
  /**
   * Writers of the repository that may live, best first: the one that took the last push to it, then neighbours that are up,
   * those of the same zone, of the same region, by name. A neighbour that is down is none; of others nobody knows.
   */
  living(repository: RepositoryName): readonly Writer[]
  /** The same of any nodes, without regard to pushes. */
  livingOf(names: readonly NodeName[]): readonly Writer[]
  /** Where a push to the repository began: its uploads are there and nowhere else, also when it is down. */
  latest(repository: RepositoryName): Writer | undefined
  /** It took a part of a push. */
  took(repository: RepositoryName, writer: NodeName): void
  /** It could not be reached: it comes last for a while. */
  failed(writer: NodeName): void
}

export interface WriterChoiceDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly neighbours: Pick<Neighbours, 'isUp' | 'endpointOf' | 'list'>
  readonly clock: Clock
}

/** A writer is stayed with for so long after a part of a push, milliseconds: as long as an upload without its client stays. */
const STAY_MS = 24 * 3_600_000
/** Repositories whose writer is remembered: some 200 bytes each. When full, the one pushed to longest ago is forgotten. */
const MAX_REMEMBERED = 10_000
/** A writer that could not be reached is asked last for so long, milliseconds: about the time of a restart. */
const COOL_DOWN_MS = 10_000

interface Taken {
  readonly writer: NodeName
  readonly atMs: number
}

export function createWriterChoice(deps: WriterChoiceDeps): WriterChoice {
  const { topology, self, neighbours, clock } = deps
  const near = new Set(neighbours.list().map(({ name }) => name))
  const byNearness = nearestFirst(topology, self)
  /** Pushed to longest ago first. */
  const taken = new Map<RepositoryName, Taken>()
  const failedAtMs = new Map<NodeName, number>()

  /** A clock that was put back must not keep a writer for ever. */
  const isWithin = (atMs: number | undefined, ms: number) =>
    atMs !== undefined && Math.abs(clock.now() - atMs) < ms

  function latestOf(repository: RepositoryName): NodeName | undefined {
    const last = taken.get(repository)
    if (last === undefined || !isWithin(last.atMs, STAY_MS)) return undefined
    return writersOf(topology, repository).includes(last.writer) ? last.writer : undefined
  }

  function writer(name: NodeName): readonly Writer[] {
    const endpoint = neighbours.endpointOf(name)?.endpoint ?? topology.nodes.get(name)?.endpoint
    return endpoint === undefined ? [] : [{ name, endpoint }]
  }

  /** Compared from left to right; less is better. */
  function weights(name: NodeName, latest?: NodeName): readonly number[] {
    return [isWithin(failedAtMs.get(name), COOL_DOWN_MS) ? 1 : 0, name === latest ? 0 : 1]
  }

  function rank(names: readonly NodeName[], latest?: NodeName): readonly Writer[] {
    return names
      .filter((name) => name !== self && (!near.has(name) || neighbours.isUp(name)))
      .map((name) => ({ name, by: weights(name, latest) }))
      .sort((a, b) => compare(a.by, b.by) || byNearness(a.name, b.name))
      .flatMap(({ name }) => writer(name))
  }

  return {
    living: (repository) => rank(writersOf(topology, repository), latestOf(repository)),
    livingOf: (names) => rank(names),
    latest: (repository) => {
      const name = latestOf(repository)
      return name === undefined ? undefined : writer(name)[0]
    },
    took: (repository, name) => {
      failedAtMs.delete(name)
      taken.delete(repository)
      taken.set(repository, { writer: name, atMs: clock.now() })
      const [oldest] = taken.keys()
      if (taken.size > MAX_REMEMBERED && oldest !== undefined) taken.delete(oldest)
    },
    failed: (name) => void failedAtMs.set(name, clock.now()),
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((weight, place) => weight !== b[place])
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}
