/** Convergence: what this node has still to do, and how far it and its readers have read. Whoever asks all nodes can tell. */
import type { ConvergenceView, LagView } from '../admin/convergence-view.ts'
import type { JobView } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { Damage } from '../storage/damage.ts'
import type { Ledger } from '../storage/ledger.ts'
import { neighboursOf, sourcesOf, timeSourcesOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Dispatcher } from '../worker/dispatcher.ts'
import type { Insight } from './insight.ts'

export interface ConvergenceDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly ledger: Pick<Ledger, 'epoch' | 'head'>
  readonly queue: Pick<JobQueue, 'list'>
  readonly dispatcher: Pick<Dispatcher, 'waiting'>
  readonly damage: Pick<Damage, 'page'>
  readonly neighbours: Pick<Neighbours, 'list'>
  readonly insight: Pick<Insight, 'reading' | 'isScanning'>
  readonly clock: Clock
  readonly lag: () => Promise<readonly LagView[]>
  readonly isReady: () => boolean
}

/** Damaged blobs counted, at most: more are as bad. */
const MAX_DAMAGED = 1_000

export function createConvergence(deps: ConvergenceDeps): () => Promise<ConvergenceView> {
  const { topology, self, ledger, queue, dispatcher, damage, neighbours, insight, clock } = deps
  const { reading } = insight
  const sources = new Set(sourcesOf(topology, self))
  const senders = new Set(timeSourcesOf(topology, self))
  const needsOthers = hasUnlinkedCoWriter(topology, self)

  return async () => {
    const lag = await deps.lag()
    const damaged = await damage.page('', MAX_DAMAGED)
    // From here on in one turn: what is told holds together.
    return {
      node: self,
      nowMs: clock.now(),
      generation: topology.generation,
      topologyHash: topology.hash,
      isReady: deps.isReady(),
      feed: { epoch: ledger.epoch, head: ledger.head() },
      isScanning: insight.isScanning(),
      waitingKeys: dispatcher.waiting(),
      jobs: jobsOf(queue.list()),
      damagedBlobs: damaged.length,
      lag: [...lag],
      neighbours: neighbours.list().map(({ name, state, sinceMs, lastError }) => {
        const read = reading.of(name)
        return {
          name,
          state,
          sinceMs,
          isSource: sources.has(name),
          isNeeded: senders.has(name) || (needsOthers && sources.has(name)),
          ...(read === undefined ? {} : { read }),
          ...(lastError === undefined ? {} : { lastError }),
        }
      }),
      readers: [...reading.readers()],
    }
  }
}

/** What has not ended, by what it waits for. */
function jobsOf(jobs: readonly JobView[]): ConvergenceView['jobs'] {
  let [open, waitingForWindow, paused, held] = [0, 0, 0, 0]
  let [windowOpensMs, oldestMs]: (number | undefined)[] = []
  for (const { state, cause, pausedBy, nextTryAtMs, createdAtMs } of jobs) {
    if (state === 'held') {
      held += 1
      continue
    }
    open += 1
    if (pausedBy !== undefined) paused += 1
    else if (state === 'waiting' && cause === 'window') {
      waitingForWindow += 1
      windowOpensMs = earlier(windowOpensMs, nextTryAtMs)
    } else oldestMs = earlier(oldestMs, createdAtMs)
  }
  return {
    open,
    waitingForWindow,
    paused,
    held,
    ...(windowOpensMs === undefined ? {} : { windowOpensMs }),
    ...(oldestMs === undefined ? {} : { oldestMs }),
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

/** Whether news of another writer may come by way of those that this writer only reads back from. */
function hasUnlinkedCoWriter(topology: Topology, self: NodeName): boolean {
  const linked = new Set([self, ...neighboursOf(topology, self)])
  return topology.origins.some(
    ({ writers }) => writers.includes(self) && writers.some((other) => !linked.has(other)),
  )
}
