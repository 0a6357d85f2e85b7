/** The storage budget of a node, where the topology sets one: what clients pulled, and what goes when it is too much. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Collector } from '../storage/collector.ts'
import { createEvictor, type Evictor } from '../storage/evictor.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { createLastPulled, type LastPulled } from '../storage/last-pulled.ts'
import { itemOf } from '../storage/naming.ts'
import type { Demands } from '../topology/demand.ts'
import type { Naming } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { ContentStore } from './content-store.ts'

export interface BudgetDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly store: Pick<ContentStore, 'ledger' | 'rows'>
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly collector: Collector
  readonly demands: Demands
  readonly naming: Naming
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

export interface Budget extends AsyncDisposable {
  readonly start: Evictor['start']
  readonly usage: Evictor['usage']
  /** A client read the manifest. */
  readonly pulled: LastPulled['note']
  /** Whether content that nobody must hold may still come. */
  hasRoom(): boolean
}

export function createBudget(deps: BudgetDeps): Budget | undefined {
  const budget = deps.topology.nodes.get(deps.self)?.storage
  if (budget === undefined) return undefined
  const { demands, naming, store } = deps
  const lastPulled = createLastPulled(deps)
  const evictor = createEvictor(
    {
      ...deps,
      ...store,
      lastPulled,
      mayGo: async (key, record) => {
        const demand = await demands.of(itemOf(key, record), naming)
        return demand !== undefined && demand.held === undefined
      },
      isWriter: (repository) => writersOf(deps.topology, repository).includes(deps.self),
      logger: deps.logger.child({ room: 'storage' }),
    },
    budget,
  )
  return {
    start: evictor.start,
    usage: evictor.usage,
    pulled: lastPulled.note,
    hasRoom: () => budget.evict === 'lru' || evictor.usage().usedBytes <= budget.maxBytes,
    [Symbol.asyncDispose]: () => evictor[Symbol.asyncDispose](),
  }
}
