/** What takes content away again, put together: the collector, and the budget where the topology sets one. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Random } from '../lib/random.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Graces } from '../storage/collected-item.ts'
import { type Collector, createCollector } from '../storage/collector.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { itemOf } from '../storage/naming.ts'
import type { UploadSessions } from '../storage/upload-sessions.ts'
import type { Demands } from '../topology/demand.ts'
import { asksFor, type Naming } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type Budget, createBudget } from './budget.ts'
import type { ContentStore } from './content-store.ts'

export interface UpkeepDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly store: ContentStore
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly uploads: Pick<UploadSessions, 'list' | 'expire'>
  readonly makeRoom?: () => Promise<void>
  readonly demands: Demands
  readonly naming: Naming
  /** When the oldest job that is open was made. */
  readonly oldestJobMs: () => number | undefined
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface UpkeepParts extends AsyncDisposable {
  readonly collector: Collector
  readonly budget: Budget | undefined
  start(): void
}

export function createUpkeepParts(deps: UpkeepDeps, graces: Graces): UpkeepParts {
  const { topology, self, store, naming } = deps
  const building = new AsyncDisposableStack()
  const asksHere = asksFor(topology, self)
  const rights = {
    author: store.author,
    isWriter: (repository: Parameters<typeof writersOf>[1]) =>
      writersOf(topology, repository).includes(self),
    isWanted: (...[key, record]: Parameters<typeof itemOf>) =>
      asksHere.passes(itemOf(key, record), naming),
  }
  const logger = deps.logger.child({ room: 'storage' })
  const { makeRoom } = deps
  const collector = building.use(
    createCollector({ ...deps, ...store, rights, makeRoom, logger }, graces),
  )
  const budget = createBudget({ ...deps, collector })
  return {
    collector,
    budget,
    start: () => {
      collector.start()
      budget?.start()
    },
    // At once: an eviction waits for its run of the collector, which ends early when that is told to.
    [Symbol.asyncDispose]: async () => {
      await Promise.all([budget?.[Symbol.asyncDispose](), building.disposeAsync()])
    },
  }
}
