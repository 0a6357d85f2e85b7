import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { PullPlan } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/create-job-queue.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import { createJobStore, type JobStore } from '../../../src/queue/job-store.ts'
import { createIndexDb } from '../../../src/storage/index-db.ts'
import { JOB } from '../../../src/storage/index-tables.ts'
import { createFakeClock, settle } from '../../helpers/fake-clock.ts'
import { openMemoryBackend } from '../../helpers/storage-rig.ts'
import { digestNamed, ref, repo } from '../../helpers/writers.ts'

const REPO = repo('app')
const { signal } = new AbortController()

function plan(reference: string, content: string, recordId = `record of ${content}`): PullPlan {
  const key = { repository: REPO, reference: ref(reference) }
  return { kind: 'pull', key, digest: digestNamed(content), recordId }
}

const idOf = (content: string) => `${REPO}@${digestNamed(content)}`

async function openQueue(
  options: {
    readonly backend?: Awaited<ReturnType<typeof openMemoryBackend>>
    readonly clock?: ReturnType<typeof createFakeClock>
    /** Rows are written when it is resolved, in order. */
    readonly disk?: Promise<void>
    readonly hasHolder?: () => boolean
  } = {},
) {
  const { clock = createFakeClock() } = options
  const backend = options.backend ?? (await openMemoryBackend())
  const index = createIndexDb(backend)
  const events = createEventBus({ logger: silentLogger })
  const views: JobView[] = []
  events.on('job-changed', ({ job }) => views.push(job))
  const random = { ...systemRandom, fraction: () => 0.999_999 }
  const rowStore = createJobStore({ index })
  let writing = options.disk ?? Promise.resolve()
  const later = (write: () => Promise<void>) => {
    writing = writing.then(write)
    return writing
  }
  const store: Omit<JobStore, 'page'> = {
    load: rowStore.load,
    save: (id, row) => later(() => rowStore.save(id, row)),
    remove: (id) => later(() => rowStore.remove(id)),
  }
  const { hasHolder = () => true } = options
  const logger = silentLogger
  const history = await openJobHistory({ index, logger }, 200)
  const queue = createJobQueue({ store, history, events, clock, random, logger, hasHolder })
  const rows = async () => (await index.page(JOB, { limit: 100 })).map(([id]) => id)
  return { queue, clock, views, rows, backend }
}

describe('queue / job-queue: nothing is lost between two turns', () => {
  test('a taker that is woken and gives up in the same turn passes the job on', async () => {
    const { queue } = await openQueue()
    const leaving = new AbortController()
    const first = queue.take({ signal: leaving.signal })
    const second = queue.take({ signal })
    queue.add(plan('v1', 'one'))
    leaving.abort(new Error('left'))
    await expect(first).rejects.toThrow('left')
    expect((await second).id).toBe(idOf('one'))
  })

  test('takers that give up before anything comes leave nothing behind', async () => {
    const { queue } = await openQueue()
    for (let at = 0; at < 10; at += 1) {
      const leaving = new AbortController()
      const taken = queue.take({ signal: leaving.signal })
      leaving.abort()
      await expect(taken).rejects.toThrow()
    }
    const waiting = queue.take({ signal })
    queue.add(plan('v1', 'one'))
    expect((await waiting).id).toBe(idOf('one'))
    await expect(queue.take({ signal: AbortSignal.abort() })).rejects.toThrow()
  })

  test('jobs are taken in the order in which they were queued, and one that waited goes to the end', async () => {
    const { queue } = await openQueue()
    for (const content of ['one', 'two', 'three']) queue.add(plan(content, content))
    const one = await queue.take({ signal })
    queue.defer(one, { kind: 'failed', reason: 'cut' })
    queue.wake(REPO, digestNamed('one'))
    const order = []
    for (let at = 0; at < 3; at += 1) order.push((await queue.take({ signal })).id)
    expect(order).toEqual([idOf('two'), idOf('three'), idOf('one')])
  })

  test('a job that ran for news which is overtaken does not come back when it fails', async () => {
    const { queue, clock } = await openQueue()
    queue.add(plan('v1', 'old'))
    const old = await queue.take({ signal })
    queue.add(plan('v1', 'new'))
    queue.defer(old, { kind: 'no-holder', reason: 'nobody has it' })
    expect(queue.get(idOf('old'))).toMatchObject({ state: 'superseded', reason: 'newer news' })
    await clock.advance(3_600_000)
    expect(queue.list().map(({ id, state }) => [id, state])).toEqual([[idOf('new'), 'queued']])
    expect(queue.get(idOf('old'))?.state).toBe('superseded')
  })

  test('a job that finishes while its row is still being written leaves no row', async () => {
    const disk = Promise.withResolvers<void>()
    const { queue, rows } = await openQueue({ disk: disk.promise })
    queue.add(plan('v1', 'one'))
    queue.defer(await queue.take({ signal }), { kind: 'failed', reason: 'cut' })
    queue.wake(REPO, digestNamed('one'))
    queue.finish(await queue.take({ signal }))
    disk.resolve()
    await settle()
    expect(await rows()).toEqual([])
  })

  test('a job has a row only once there is something to remember, and none after its end', async () => {
    const { queue, rows } = await openQueue()
    queue.add(plan('v1', 'one'))
    queue.add(plan('v2', 'two'))
    await settle()
    expect(await rows()).toEqual([])
    queue.defer(await queue.take({ signal }), { kind: 'failed', reason: 'cut' })
    queue.hold(idOf('two'))
    await settle()
    expect((await rows()).sort()).toEqual([idOf('one'), idOf('two')].sort())
    queue.forget({ repository: REPO, reference: ref('v1') })
    queue.forget({ repository: REPO, reference: ref('v2') })
    await settle()
    expect(await rows()).toEqual([])
  })
})

describe('queue / job-queue: time', () => {
  test('each wait is at most its bound and doubles up to the cap, for both reasons', async () => {
    for (const [kind, bounds] of [
      ['failed', [1_000, 2_000, 4_000, 60_000]],
      ['no-holder', [5_000, 10_000, 20_000, 300_000]],
    ] as const) {
      const { queue, clock } = await openQueue()
      queue.add(plan('v1', 'one'))
      const waits: number[] = []
      for (let attempt = 1; attempt <= 12; attempt += 1) {
        const job = await queue.take({ signal })
        queue.defer(job, { kind, reason: 'not now' })
        const ms = (queue.get(job.id)?.nextTryAtMs ?? 0) - clock.now()
        waits.push(ms)
        await clock.advance(ms - 1)
        expect(queue.get(job.id)?.state).toBe('waiting')
        await clock.advance(1)
        expect(queue.get(job.id)?.state).toBe('queued')
      }
      expect([...waits.slice(0, 3), waits.at(-1)]).toEqual(bounds)
    }
  })

  test('a job waits no longer because the wall clock went back over a restart', async () => {
    const { queue, backend, clock } = await openQueue()
    queue.add(plan('v1', 'one'))
    queue.defer(await queue.take({ signal }), { kind: 'failed', reason: 'cut' })
    await settle()
    clock.jump(-30 * 24 * 3_600_000)
    const later = await openQueue({ backend, clock })
    later.queue.add(plan('v1', 'one'))
    expect(later.queue.get(idOf('one'))?.state).toBe('waiting')
    await clock.advance(300_000)
    expect(later.queue.get(idOf('one'))?.state).toBe('queued')
  })

  test('news ahead of content wait a moment for a holder, and go on when one shows up', async () => {
    const { queue, clock } = await openQueue({ hasHolder: () => false })
    queue.add(plan('v1', 'one'))
    queue.add(plan('v2', 'two'))
    expect(queue.get(idOf('one'))).toMatchObject({
      state: 'waiting',
      attempts: 0,
      reason: 'nobody is known to hold it yet',
    })
    queue.wake(REPO, digestNamed('two'))
    expect(queue.get(idOf('two'))?.state).toBe('queued')
    await clock.advance(499)
    expect(queue.get(idOf('one'))?.state).toBe('waiting')
    await clock.advance(1)
    expect(queue.get(idOf('one'))?.state).toBe('queued')
  })

  test('a closed queue lets go of everybody who waits for time', async () => {
    const { queue, clock } = await openQueue()
    queue.add(plan('v1', 'one'))
    queue.defer(await queue.take({ signal }), { kind: 'failed', reason: 'cut' })
    expect(clock.sleeping()).toBe(1)
    await queue[Symbol.asyncDispose]()
    expect(clock.sleeping()).toBe(0)
  })

  test('waking all ends every wait and touches nothing else', async () => {
    const { queue } = await openQueue()
    for (const content of ['one', 'two', 'three']) queue.add(plan(content, content))
    for (let at = 0; at < 2; at += 1) {
      queue.defer(await queue.take({ signal }), { kind: 'no-holder', reason: 'nobody' })
    }
    queue.hold(idOf('three'))
    queue.wakeAll()
    const states = ['one', 'two', 'three'].map((content) => queue.get(idOf(content))?.state)
    expect(states).toEqual(['queued', 'queued', 'held'])
    expect(queue.openCount()).toBe(2)
  })
})

describe('queue / job-queue: moves', () => {
  test('a move that the table does not have changes nothing and tells nobody', async () => {
    const { queue, views } = await openQueue()
    queue.add(plan('v1', 'one'))
    const job = await queue.take({ signal })
    queue.finish(job)
    const [told, view] = [views.length, queue.get(job.id)]
    queue.finish(job)
    queue.defer(job, { kind: 'failed', reason: 'late' })
    queue.vanish(job, 'late')
    queue.note(job, { bytesDone: 5 })
    expect([queue.hold(job.id), queue.retry(job.id), queue.hold('unknown')]).toEqual([
      false,
      false,
      false,
    ])
    expect([views.length, queue.get(job.id)]).toEqual([told, view])
  })

  test('progress is told, and forgotten when the job is tried again', async () => {
    const { queue, views } = await openQueue()
    queue.add(plan('v1', 'one'))
    const job = await queue.take({ signal })
    queue.note(job, { phase: 'blobs', bytesDone: 5, bytesTotal: 10 })
    expect(views.at(-1)).toMatchObject({ phase: 'blobs', bytesDone: 5, bytesTotal: 10 })
    queue.defer(job, { kind: 'failed', reason: 'cut' })
    expect(views.at(-1)).toMatchObject({ state: 'waiting', reason: 'cut', bytesDone: 5 })
    expect(views.at(-1)).not.toHaveProperty('phase')
    queue.retry(job.id)
    const again = await queue.take({ signal })
    expect(queue.get(again.id)).toMatchObject({ state: 'running', attempts: 2, bytesDone: 0 })
    expect(queue.get(again.id)).not.toHaveProperty('reason')
  })

  test('what vanished everywhere ends as gone, and is asked for anew by newer news', async () => {
    const { queue } = await openQueue()
    queue.add(plan('v1', 'one'))
    queue.vanish(await queue.take({ signal }), 'nobody has it')
    expect(queue.get(idOf('one'))).toMatchObject({ state: 'gone', reason: 'nobody has it' })
    queue.add(plan('v1', 'one', 'a newer record'))
    expect(queue.get(idOf('one'))?.state).toBe('queued')
  })

  test('a reference that moves on leaves a job that others still ask for', async () => {
    const { queue } = await openQueue()
    queue.add(plan('v1', 'one'))
    queue.add(plan('latest', 'one'))
    queue.add(plan('latest', 'two'))
    expect(queue.get(idOf('one'))).toMatchObject({ state: 'queued', references: ['v1'] })
    queue.forget({ repository: REPO, reference: ref('v1') })
    expect(queue.get(idOf('one'))?.state).toBe('superseded')
    expect(queue.openCount()).toBe(1)
  })

  test('a reference that joins a running job is served by it', async () => {
    const { queue } = await openQueue()
    queue.add(plan('v1', 'one'))
    const job = await queue.take({ signal })
    queue.add(plan('latest', 'one'))
    expect([...job.references]).toEqual(['v1', 'latest'])
    expect(queue.openCount()).toBe(1)
  })
})
