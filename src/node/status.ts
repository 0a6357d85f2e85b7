/** The status of a node: who it is, who its neighbours are, what it is doing, and what it has counted. */
import packageJson from '../../package.json' with { type: 'json' }
import type { TopologyStateView } from '../admin/topology-view.ts'
import type { StatusView } from '../admin/views.ts'
import type { Announcer } from '../gossip/announcer.ts'
import type { Clock } from '../lib/clock.ts'
import type { MeshTime } from '../peers/mesh-time.ts'
import type { Neighbour, Neighbours } from '../peers/neighbours.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { Pauses } from '../queue/pauses.ts'
import type { Identity } from '../record/identity.ts'
import type { Ledger } from '../storage/ledger.ts'
import { sourcesOf } from '../topology/flow.ts'
import { limitsInto } from '../topology/rates.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { DueKeys } from '../worker/due-keys.ts'
import type { Budget } from './budget.ts'
import type { Counters } from './counters.ts'

export interface StatusDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly identity: Identity
  readonly ledger: Ledger
  readonly queue: Pick<JobQueue, 'counts'>
  readonly pauses: Pick<Pauses, 'list'>
  readonly announcer: Announcer
  readonly isReady: () => boolean
  readonly neighbours: Neighbours
  readonly meshTime: Pick<MeshTime, 'view'>
  /** Of the process, milliseconds since the Unix epoch. */
  readonly startedAtMs: number
  readonly counters: Counters
  readonly topologyState: () => TopologyStateView
  readonly budget: Pick<Budget, 'usage'> | undefined
  readonly deletes: Pick<DueKeys, 'heldUp'>
  readonly clock: Pick<Clock, 'now'>
}

export function createStatus(deps: StatusDeps): () => StatusView {
  const { topology, self, identity, ledger, queue, pauses, announcer, isReady, neighbours } = deps
  const { meshTime, startedAtMs, counters, deletes, clock } = deps
  const sources = new Set(sourcesOf(topology, self))
  const limits = limitsInto(topology, self)

  function viewNeighbour({ name, state, sinceMs, facts, clock: theirs, lastError }: Neighbour) {
    const limit = limits.get(name)?.at(clock.now())
    return {
      name,
      state,
      sinceMs,
      isSource: sources.has(name),
      ...(facts === undefined
        ? {}
        : {
            generation: facts.generation,
            differs: facts.topologyHash !== topology.hash,
          }),
      ...(limit === undefined ? {} : { limit }),
      ...(theirs === undefined ? {} : { clockOffsetMs: theirs.offsetMs }),
      ...(lastError === undefined ? {} : { lastError }),
    }
  }

  return () => {
    const storage = deps.budget?.usage()
    const heldUpDeletes = deletes.heldUp().map((one) => ({ ...one }))
    return {
      node: self,
      version: packageJson.version,
      peerId: identity.peerId,
      realm: topology.realm,
      generation: topology.generation,
      topologyHash: topology.hash,
      topology: deps.topologyState(),
      endpoint: topology.nodes.get(self)?.endpoint ?? '',
      startedAtMs,
      isReady: isReady(),
      time: meshTime.view(),
      feed: { epoch: ledger.epoch, head: ledger.head() },
      neighbours: neighbours.list().map(viewNeighbour),
      jobs: queue.counts(),
      paused: pauses.list(),
      ...(heldUpDeletes.length === 0 ? {} : { heldUpDeletes }),
      ...(storage === undefined ? {} : { storage }),
      counters: { ...counters(), announcementsPublished: announcer.published() },
    }
  }
}
