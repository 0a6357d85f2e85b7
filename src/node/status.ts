/** The status of a node: who it is, who its neighbours are, what it is doing, and what it has counted. */
import packageJson from '../../package.json' with { type: 'json' }
import type { StatusView } from '../admin/views.ts'
import type { EventBus } from '../events/event-bus.ts'
import type { MeshEventKind } from '../events/mesh-event.ts'
import type { Announcer } from '../gossip/announcer.ts'
import type { Clock } from '../lib/clock.ts'
import type { MeshTime } from '../peers/mesh-time.ts'
import type { Neighbour, Neighbours } from '../peers/neighbours.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { Identity } from '../record/identity.ts'
import type { Ledger } from '../storage/ledger.ts'
import { sourcesOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

export interface StatusDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly identity: Identity
  readonly ledger: Ledger
  readonly queue: JobQueue
  readonly announcer: Announcer
  readonly isReady: () => boolean
  readonly neighbours: Neighbours
  readonly meshTime: Pick<MeshTime, 'view'>
  readonly events: EventBus
  readonly clock: Clock
}

/** Events that are counted since the start of the node. */
const COUNTED: readonly (readonly [MeshEventKind, string])[] = [
  ['record-stored', 'recordsStored'],
  ['record-refused', 'recordsRefused'],
  ['blob-fetched', 'blobsFetched'],
  ['conflict', 'conflicts'],
  ['blob-damaged', 'blobsDamaged'],
  ['blob-repaired', 'blobsRepaired'],
  ['stranger-refused', 'strangersRefused'],
  ['record-parked', 'recordsParked'],
  ['peer-cut-off', 'peersCutOff'],
]

export function createStatus(deps: StatusDeps): () => StatusView {
  const { topology, self, identity, ledger, queue, announcer, isReady, neighbours } = deps
  const { meshTime, events, clock } = deps
  const startedAtMs = clock.now()
  const sources = new Set(sourcesOf(topology, self))
  const counters: Record<string, number> = {}
  for (const [kind, name] of COUNTED) {
    counters[name] = 0
    events.on(kind, () => {
      counters[name] = (counters[name] ?? 0) + 1
    })
  }
  counters.bytesFetched = 0
  events.on('blob-fetched', ({ sizeBytes }) => {
    counters.bytesFetched = (counters.bytesFetched ?? 0) + sizeBytes
  })

  function viewNeighbour({ name, state, sinceMs, facts, clock: theirs, lastError }: Neighbour) {
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
      ...(theirs === undefined ? {} : { clockOffsetMs: theirs.offsetMs }),
      ...(lastError === undefined ? {} : { lastError }),
    }
  }

  return () => {
    const jobs: StatusView['jobs'] = {}
    for (const { state } of queue.list()) jobs[state] = (jobs[state] ?? 0) + 1
    return {
      node: self,
      version: packageJson.version,
      peerId: identity.peerId,
      realm: topology.realm,
      generation: topology.generation,
      topologyHash: topology.hash,
      endpoint: topology.nodes.get(self)?.endpoint ?? '',
      startedAtMs,
      isReady: isReady(),
      time: meshTime.view(),
      feed: { epoch: ledger.epoch, head: ledger.head() },
      neighbours: neighbours.list().map(viewNeighbour),
      jobs,
      counters: { ...counters, announcementsPublished: announcer.published() },
    }
  }
}
