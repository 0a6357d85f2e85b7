/** The metrics of a node, for Prometheus: what happened since the start is counted here, what is now is looked up when asked. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { EventBus } from '../events/event-bus.ts'
import { isEnd } from '../queue/job-machine.ts'
import type { ConvergenceView } from './convergence-view.ts'
import { JOB_STATES } from './job-view.ts'
import type { StatusView } from './views.ts'

export interface MetricsDeps {
  readonly events: EventBus
  readonly status: () => StatusView
  readonly convergence: () => Promise<ConvergenceView>
}

/** States in which a job is there; the others are ends, which are counted. */
const OPEN_STATES = JOB_STATES.filter((state) => !isEnd(state))

/** @returns what answers a scrape, in the text format of Prometheus. Names are listed in docs/OPERATIONS.md. */
export function createMetrics({ events, status, convergence }: MetricsDeps): () => Promise<string> {
  const registry = new Registry()
  const registers = [registry]
  // Processor, memory, open files, garbage collection and the delay of the event loop, under the names that dashboards know.
  collectDefaultMetrics({ register: registry })
  countEvents(events, registers)

  const gauge = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Gauge({ name: `entrepot_${name}`, help, labelNames, registers })
  const jobs = gauge('jobs', 'Transfers that have not ended, by state', ['state'])
  const oldest = gauge('oldest_job_age_seconds', 'Age of the oldest transfer that has not ended')
  const paused = gauge('pauses', 'What a person has paused: links, policies, everything')
  const news = gauge('unconsidered_keys', 'News that was not looked at yet')
  const lagRecords = gauge(
    'lag_records',
    'Records that a policy wants here and that are not held',
    ['policy'],
  )
  const lagSeconds = gauge('lag_seconds', 'Age of the oldest of them', ['policy'])
  const objective = gauge('lag_objective_seconds', 'What slo.lag of the policy says', ['policy'])
  const damaged = gauge('damaged_blobs', 'Blobs that wait to be repaired')
  const heldUp = gauge('deletes_held_up', 'Deletes that wait for a person')
  const head = gauge('feed_head', 'Last number of the feed of this node')
  const unread = gauge('feed_unread', 'Numbers of a source that were not read at its last answer', [
    'source',
  ])
  const up = gauge('neighbour_up', '1 while the neighbour is connected', ['neighbour'])
  const generation = gauge('topology_generation', 'Generation of the topology that runs')
  const refused = gauge('topology_refused', '1 while the last file that came was not taken')
  const limits = gauge('link_limit_bits', 'Bits a second at which bytes may come, where limited', [
    'source',
  ])
  const ready = gauge('ready', '1 once the node serves and has joined the mesh')

  return async () => {
    const view = await convergence()
    const {
      jobs: states,
      paused: pauses,
      isReady,
      neighbours,
      topology,
      heldUpDeletes = [],
    } = status()
    generation.set(view.generation)
    refused.set(topology.rejected === undefined ? 0 : 1)
    for (const state of OPEN_STATES) jobs.set({ state }, states[state] ?? 0)
    paused.set(pauses.length)
    // Policies and neighbours may be others than last time.
    for (const rows of [lagRecords, lagSeconds, objective, unread, up]) rows.reset()
    const { oldestMs } = view.jobs
    oldest.set(oldestMs === undefined ? 0 : Math.max(0, view.nowMs - oldestMs) / 1_000)
    news.set(view.waitingKeys)
    for (const { policy, records, seconds, objectiveSeconds } of view.lag) {
      lagRecords.set({ policy }, records)
      lagSeconds.set({ policy }, seconds)
      if (objectiveSeconds !== undefined) objective.set({ policy }, objectiveSeconds)
    }
    damaged.set(view.damagedBlobs)
    heldUp.set(heldUpDeletes.reduce((sum, { deletes }) => sum + deletes, 0))
    head.set(view.feed.head)
    for (const { name, state, read } of view.neighbours) {
      up.set({ neighbour: name }, state === 'up' ? 1 : 0)
      if (read !== undefined) unread.set({ source: name }, Math.max(0, read.head - read.through))
    }
    limits.reset()
    for (const { name, limit } of neighbours) {
      if (limit !== undefined) limits.set({ source: name }, limit)
    }
    ready.set(isReady ? 1 : 0)
    return registry.metrics()
  }
}

/** Labels are names of nodes and words of the program: never what a client or a stranger chose. */
function countEvents(events: EventBus, registers: Registry[]): void {
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name: `entrepot_${name}_total`, help, labelNames, registers })

  const stored = counter('records_stored', 'Records that were new here, by the way they came', [
    'via',
  ])
  events.on('record-stored', ({ arrival }) => stored.inc({ via: arrival.via }))
  const refused = counter('records_refused', 'Refusals of records, each writer and reason once')
  events.on('record-refused', () => refused.inc())
  const differences = counter('feed_differences', 'Records that an audit found missing', [
    'neighbour',
  ])
  events.on('feed-difference', ({ node, records }) => differences.inc({ neighbour: node }, records))
  const conflicts = counter('conflicts', 'Tags fought over by concurrent pushes, each change of it')
  events.on('conflict', () => conflicts.inc())
  const parked = counter('records_parked', 'Records from the future, kept until their time')
  events.on('record-parked', () => parked.inc())
  const cutOff = counter('peers_cut_off', 'Neighbours cut off for flooding or invalid news', [
    'neighbour',
  ])
  events.on('peer-cut-off', ({ node }) => cutOff.inc({ neighbour: node }))
  const cloned = counter('cloned_writers', 'Pairs of records of one identity')
  events.on('writer-cloned', () => cloned.inc())
  const ended = counter('jobs_ended', 'Transfers that ended, by outcome', ['outcome'])
  const deferred = counter('job_deferrals', 'Tries that ended in vain, by cause', ['cause'])
  events.on('job-changed', ({ job: { state, cause } }) => {
    if (isEnd(state)) ended.inc({ outcome: state })
    if (state === 'waiting' && cause !== undefined) deferred.inc({ cause })
  })
  const blobs = counter('fetched_blobs', 'Blobs fetched and verified', ['source'])
  const bytes = counter('fetched_bytes', 'Bytes of blobs fetched and verified', ['source'])
  events.on('blob-fetched', ({ from, sizeBytes }) => {
    blobs.inc({ source: from })
    bytes.inc({ source: from }, sizeBytes)
  })
  const differ = counter(
    'topology_differences',
    'Neighbours that were met with another topology of the same generation',
    ['neighbour'],
  )
  events.on('topology-differs', ({ node }) => differ.inc({ neighbour: node }))
  const strangers = counter('strangers_refused', 'Peer ids that are not in the topology, each once')
  events.on('stranger-refused', () => strangers.inc())
  const damaged = counter('blobs_damaged', 'Blobs found damaged')
  events.on('blob-damaged', () => damaged.inc())
  const repaired = counter('blobs_repaired', 'Damaged blobs that are whole again')
  events.on('blob-repaired', () => repaired.inc())
  const collected = counter('collected_bytes', 'Bytes that the collector freed')
  events.on('content-collected', ({ freedBytes }) => collected.inc(freedBytes))
}
