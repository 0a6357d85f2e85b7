/** Lag: how old the oldest record is that a policy wants here and that is not held yet. Derived from the open jobs. */
import { setImmediate } from 'node:timers/promises'
import type { LagView } from '../admin/convergence-view.ts'
import type { Clock } from '../lib/clock.ts'
import type { Reference } from '../oci/name.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { visibleOf } from '../record/history.ts'
import { msOfTime } from '../record/time.ts'
import type { Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import { groupFilter, type Naming, policiesTo } from '../topology/flow.ts'
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Policy, Topology } from '../topology/topology.ts'

export interface LagDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly naming: Naming
  readonly ledger: Pick<Ledger, 'entry'>
  readonly queue: Pick<JobQueue, 'list' | 'isOpen'>
  readonly clock: Clock
}

/** Row of what this node wants because it may write it, whatever the policies say. */
const OWN = '(writer)'
/** References looked at before others get their turn, some 50 µs each: a node that was away may have ten thousand. */
const IN_TURN = 64
const MS_PER_SECOND = 1_000

/** @returns a reader: one row a policy of the links to this node, in the order of the file. Who asks meanwhile gets the same answer. */
export function createLag(deps: LagDeps): () => Promise<readonly LagView[]> {
  const { topology, self, naming, ledger, queue, clock } = deps
  const asked = new Set(policiesTo(topology, self))
  const timeZone = topology.nodes.get(self)?.timeZone ?? 'UTC'
  const rows = [...topology.policies.values()]
    .filter((policy) => asked.has(policy))
    .map((policy) => ({ policy, filter: groupFilter(topology, [policy]) }))
  let running: Promise<readonly LagView[]> | undefined

  async function read(): Promise<readonly LagView[]> {
    const found = new Map<string, { records: number; oldestMs: number }>()
    const now = clock.now()
    const note = (name: string, sinceMs: number) => {
      const row = found.get(name) ?? { records: 0, oldestMs: now }
      found.set(name, {
        records: row.records + 1,
        oldestMs: Math.min(row.oldestMs, sinceMs),
      })
    }
    /** What comes in windows alone is late only once one was open. */
    const owedSince = ({ schedule }: Policy, sinceMs: number) => {
      const state = schedule?.at(sinceMs, timeZone)
      return state === undefined || state.isOpen ? sinceMs : state.opensMs
    }
    let looked = 0
    for (const job of queue.list()) {
      // It may have ended since.
      if (!queue.isOpen(job.id)) continue
      for (const reference of job.references as readonly Reference[]) {
        const key = { repository: job.repository, reference }
        const newest = visibleOf(ledger.entry(key)?.history ?? [])
        // Overtaken while it runs: what took over has a job of its own.
        if (newest?.record.digest !== job.digest) continue
        const item = itemOf(key, newest.record)
        const sinceMs = msOfTime(newest.record.time)
        for (const { policy, filter } of rows) {
          if (await filter.passes(item, naming)) note(policy.name, owedSince(policy, sinceMs))
        }
        if (writersOf(topology, job.repository).includes(self)) note(OWN, sinceMs)
        looked += 1
        if (looked % IN_TURN === 0) await setImmediate()
      }
    }
    const views = rows.map(({ policy }) => viewOf(policy.name, policy.lagObjectiveMs))
    return found.has(OWN) ? [...views, viewOf(OWN, undefined)] : views

    function viewOf(policy: string, objectiveMs: number | undefined): LagView {
      const { records, oldestMs } = found.get(policy) ?? { records: 0, oldestMs: now }
      const seconds = (now - oldestMs) / MS_PER_SECOND
      if (objectiveMs === undefined) return { policy, records, seconds }
      const objectiveSeconds = objectiveMs / MS_PER_SECOND
      return { policy, records, seconds, objectiveSeconds, isMet: seconds <= objectiveSeconds }
    }
  }

  return () => {
    running ??= read().finally(() => {
      running = undefined
    })
    return running
  }
}
