import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { Plan, PullPlan } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/create-job-queue.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import { createJobStore } from '../../../src/queue/job-store.ts'
import { sweepJobRows } from '../../../src/queue/job-sweep.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { JOB } from '../../../src/storage/index-tables.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'
import { digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const { signal } = new AbortController()
const idOf = (content: string) => `${REPO}@${digestNamed(content)}`

function plan(content: string): PullPlan {
  const key = { repository: REPO, reference: ref(content) }
  return { kind: 'pull', key, digest: digestNamed(content), recordId: `record of ${content}` }
}

async function openQueue(backend?: Awaited<ReturnType<typeof openMemoryBackend>>) {
  const disk = backend ?? (await openMemoryBackend())
  const index = createIndexDb(disk)
  const clock = createFakeClock()
  const events = createEventBus({ logger: silentLogger })
  const told: JobView[] = []
  events.on('job-changed', ({ job }) => told.push(job))
  const store = createJobStore({ index })
  const random = systemRandom
  const logger = silentLogger
  const history = await openJobHistory({ index, logger }, 10_000)
  const queue = createJobQueue({ store, history, events, clock, random, logger })
  const rows = async () => (await index.page(JOB, { limit: 10_000 })).map(([id]) => id).sort()
  return { queue, history, store, clock, told, rows, disk }
}

/** So many jobs that tried in vain. */
async function waiting(count: number, kind: 'no-holder' | 'failed' | 'local-fault') {
  const rig = await openQueue()
  for (let at = 0; at < count; at += 1) rig.queue.add(plan(`c${at}`))
  for (let at = 0; at < count; at += 1) {
    rig.queue.defer(await rig.queue.take({ signal }), { kind, reason: 'not now' })
  }
  rig.told.length = 0
  return rig
}

const inState = (queue: { list(): readonly JobView[] }, state: string) =>
  queue.list().filter((job) => job.state === state).length

describe('queue / outcomes: waiting', () => {
  test('a job says why it waits until it is tried again', async () => {
    const { queue } = await waiting(1, 'no-holder')
    expect(queue.get(idOf('c0'))).toMatchObject({ state: 'waiting', cause: 'no-holder' })
    queue.wakeAll()
    expect(queue.get(idOf('c0'))).not.toHaveProperty('cause')
  })

  test('a job behind closed links waits until the first of them opens, unless a holder comes before', async () => {
    const { queue, clock } = await openQueue()
    queue.add(plan('c0'))
    const untilMs = clock.now() + 3_600_000
    const closed = { kind: 'failed', reason: 'link from hub is closed', untilMs } as const
    queue.defer(await queue.take({ signal }), closed)
    expect(queue.get(idOf('c0'))).toMatchObject({ state: 'waiting', nextTryAtMs: untilMs })
    await clock.advance(3_599_000)
    expect(inState(queue, 'queued')).toBe(0)
    await clock.advance(1_000)
    expect(inState(queue, 'queued')).toBe(1)
    queue.defer(await queue.take({ signal }), { ...closed, untilMs: untilMs + 3_600_000 })
    queue.wake(REPO, digestNamed('c0'))
    expect(inState(queue, 'queued')).toBe(1)
    // It never opens: the usual waits.
    queue.defer(await queue.take({ signal }), { ...closed, untilMs: Number.POSITIVE_INFINITY })
    await clock.advance(60_000)
    expect(inState(queue, 'queued')).toBe(1)
  })

  test('two thousand that are woken stand in the line a few at a time, and each runs once', async () => {
    const { queue, told, clock } = await waiting(2_000, 'no-holder')
    queue.wakeAll()
    queue.wakeAll()
    expect(inState(queue, 'queued')).toBe(64)
    // A live stream keeps a thousand events: it must not be cut off by one neighbour that came back.
    expect(told.length).toBeLessThan(100)
    const ran = new Set<string>()
    for (let at = 0; at < 2_000; at += 1) {
      const job = await queue.take({ signal })
      ran.add(job.id)
      queue.defer(job, { kind: 'no-holder', reason: 'still not' })
    }
    expect(ran.size).toBe(2_000)
    expect(inState(queue, 'queued')).toBe(0)
    expect(clock.sleeping()).toBe(2_000)
  })

  test('woken ones go on also when those before them leave the line without having run', async () => {
    const { queue, history } = await waiting(100, 'no-holder')
    queue.wakeAll()
    for (const job of queue.list().filter(({ state }) => state === 'queued')) {
      queue.forget({ repository: REPO, reference: ref(job.references[0] ?? '') })
    }
    expect(inState(queue, 'queued')).toBe(36)
    expect([...history.newest()].map(({ job }) => job.state)).toEqual(
      Array.from({ length: 64 }, () => 'superseded'),
    )
  })

  test('a job that is running when a neighbour comes back is tried again at once', async () => {
    const { queue } = await openQueue()
    queue.add(plan('one'))
    const job = await queue.take({ signal })
    queue.wakeAll()
    queue.defer(job, { kind: 'failed', reason: 'cut' })
    expect(job.state).toBe('queued')
  })

  test('what this node could not keep goes on when another job could, and nothing else does', async () => {
    const { queue } = await waiting(3, 'local-fault')
    queue.add(plan('vain'))
    queue.defer(await queue.take({ signal }), { kind: 'failed', reason: 'cut' })
    queue.add(plan('other'))
    queue.finish(await queue.take({ signal }))
    expect(queue.get(idOf('vain'))?.state).toBe('waiting')
    expect(inState(queue, 'queued')).toBe(3)
  })

  test('a wait that was called off does not end a later one of the same job', async () => {
    const { queue, clock } = await waiting(1, 'failed')
    queue.wake(REPO, digestNamed('c0'))
    expect(clock.sleeping()).toBe(0)
    const job = await queue.take({ signal })
    job.vainTries += 5
    queue.defer(job, { kind: 'failed', reason: 'again' })
    expect(clock.sleeping()).toBe(1)
    await clock.advance(1_000)
    expect(job.state).toBe('waiting')
  })
})

describe('queue / outcomes: progress', () => {
  test('a try that brought bytes is followed by another one soon, one that brought none later each time', async () => {
    const { queue, clock } = await openQueue()
    queue.add(plan('large'))
    const tryWith = async (bytesDone: number) => {
      const job = await queue.take({ signal })
      queue.note(job, { bytesDone, bytesTotal: 1_000 })
      queue.defer(job, { kind: 'failed', reason: 'cut' })
      const waitMs = (job.nextTryAtMs ?? 0) - clock.now()
      queue.wakeAll()
      return waitMs
    }
    for (const bytes of [100, 200, 300, 400, 500]) expect(await tryWith(bytes)).toBeLessThan(1_001)
    // Not more than there was before.
    await tryWith(500)
    await tryWith(0)
    expect(await tryWith(500)).toBeGreaterThan(3_999)
    expect(await tryWith(501)).toBeLessThan(1_001)
  })
})

describe('queue / outcomes: rows of a former run', () => {
  test('rows of what moved on or is not wanted any more go, page by page; what a person holds stays', async () => {
    const first = await waiting(600, 'failed')
    first.queue.hold(idOf('c7'))
    await settle()
    expect(await first.rows()).toHaveLength(600)
    const { queue, store, rows } = await openQueue(first.disk)
    // Only this one is asked for still, and has its job.
    queue.add(plan('c3'))
    const planned: string[] = []
    const planner = {
      plan: async (key: Plan['key']): Promise<Plan> => {
        planned.push(key.reference)
        // Could not be looked at in the scan: it has no job yet.
        if (key.reference === 'c7') return plan('c7')
        // The tag moved while the node was down.
        if (key.reference === 'c9') return { ...plan('newer'), key }
        return { kind: 'refusal', key, reason: 'not-wanted' }
      },
    }
    expect(await sweepJobRows({ store, queue, planner })).toBe(598)
    expect(await rows()).toEqual([idOf('c3'), idOf('c7')].sort())
    expect(planned).toHaveLength(599)
    expect(await sweepJobRows({ store, queue, planner })).toBe(0)
  })
})
