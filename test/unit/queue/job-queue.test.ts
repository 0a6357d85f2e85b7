import { MemoryLevel } from 'memory-level'
import { describe, expect, test } from 'vitest'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { JobState } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Reference, RepositoryName } from '../../../src/oci/name.ts'
import type { PullPlan } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/create-job-queue.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import type { JobQueue } from '../../../src/queue/job-queue.ts'
import { createJobStore } from '../../../src/queue/job-store.ts'
import { createSeededRandom } from '../../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../../src/simulator/sim-clock.ts'
import { createIndexDb, type IndexBackend } from '../../../src/storage/index-db.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'

const REPOSITORY = 'team/app' as RepositoryName
const digestOf = (content: string) => makeBlob(bytesOf(content, 8)).digest
const never = new AbortController().signal

function plan(reference: string, content: string, recordId = `record ${content}`): PullPlan {
  const key = { repository: REPOSITORY, reference: reference as Reference }
  return { kind: 'pull', key, digest: digestOf(content), recordId }
}

async function setUp(backend?: IndexBackend) {
  const disk =
    backend ?? new MemoryLevel<string, Uint8Array>({ keyEncoding: 'utf8', valueEncoding: 'view' })
  await disk.open()
  const clock = createSimClock(1_000_000)
  const events = createEventBus({ logger: silentLogger })
  const states: JobState[] = []
  events.on('job-changed', ({ job }) => states.push(job.state))
  const index = createIndexDb(disk)
  const queue = createJobQueue({
    store: createJobStore({ index }),
    history: await openJobHistory({ index, logger: silentLogger }, 200),
    events,
    clock,
    random: createSeededRandom(1),
    logger: silentLogger,
  })
  const pass = async (ms: number) => {
    const until = clock.now() + ms
    await settle()
    while (clock.step(until)) await settle()
  }
  return { queue, clock, states, disk, pass }
}

const stateOf = (queue: JobQueue, content: string) =>
  queue.get(`${REPOSITORY}@${digestOf(content)}`)?.state

describe('the queue', () => {
  test('makes one job of all references that ask for a digest', async () => {
    const { queue } = await setUp()
    queue.add(plan('v1', 'one'))
    queue.add(plan('latest', 'one'))
    queue.add(plan('v1', 'one'))
    expect(queue.list().map(({ references }) => references)).toEqual([['v1', 'latest']])
    const job = await queue.take({ signal: never })
    queue.finish(job)
    expect(stateOf(queue, 'one')).toBe('done')
    expect(queue.openCount()).toBe(0)
  })

  test('lets newer news take over a job that has not begun, and lets one that runs finish', async () => {
    const { queue } = await setUp()
    queue.add(plan('v1', 'old'))
    queue.add(plan('v1', 'new'))
    expect([stateOf(queue, 'old'), stateOf(queue, 'new')]).toEqual(['superseded', 'queued'])
    const running = await queue.take({ signal: never })
    queue.add(plan('v1', 'newest'))
    expect([running.state, stateOf(queue, 'newest')]).toEqual(['running', 'queued'])
    queue.finish(running)
    expect(stateOf(queue, 'new')).toBe('done')
  })

  test('tries again after a failure, later each time and for ever', async () => {
    const { queue, clock, pass } = await setUp()
    queue.add(plan('v1', 'one'))
    const waits: number[] = []
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      const job = await queue.take({ signal: never })
      expect(job.attempts).toBe(attempt)
      queue.defer(job, { kind: 'failed', reason: 'cut' })
      waits.push((job.nextTryAtMs ?? 0) - clock.now())
      await pass(70_000)
    }
    expect(waits[0]).toBeLessThanOrEqual(1_000)
    expect(Math.max(...waits)).toBeLessThanOrEqual(60_000)
    expect(waits.at(-1)).toBeGreaterThanOrEqual(30_000)
  })

  test('goes on the moment a holder shows up, also when that was while the job ran', async () => {
    const { queue } = await setUp()
    queue.add(plan('v1', 'one'))
    const job = await queue.take({ signal: never })
    queue.defer(job, { kind: 'no-holder', reason: 'nobody has it' })
    expect(job.state).toBe('waiting')
    queue.wake(REPOSITORY, digestOf('one'))
    expect(job.state).toBe('queued')
    const again = await queue.take({ signal: never })
    queue.wake(REPOSITORY, digestOf('one'))
    queue.defer(again, { kind: 'no-holder', reason: 'nobody had it' })
    expect(again.state).toBe('queued')
  })

  test('keeps what a person cancelled, also over a restart, until a retry or newer news', async () => {
    const { queue, disk } = await setUp()
    queue.add(plan('v1', 'one'))
    const job = await queue.take({ signal: never })
    expect(queue.hold(job.id)).toBe(true)
    expect([job.state, job.stop.signal.aborted]).toEqual(['held', true])
    queue.add(plan('v1', 'one'))
    await settle()
    const later = (await setUp(disk)).queue
    later.add(plan('v1', 'one'))
    expect(stateOf(later, 'one')).toBe('held')
    expect(later.retry(job.id)).toBe(true)
    expect(stateOf(later, 'one')).toBe('queued')
    expect(later.hold(job.id)).toBe(true)
    // The tag was pushed again: another record asks for the same digest.
    later.add(plan('v1', 'one', 'a newer record'))
    expect(stateOf(later, 'one')).toBe('queued')
  })

  test('remembers attempts over a restart, and does not try before the time has come', async () => {
    const { queue, disk } = await setUp()
    queue.add(plan('v1', 'one'))
    const job = await queue.take({ signal: never })
    queue.defer(job, { kind: 'failed', reason: 'cut' })
    await settle()
    const later = await setUp(disk)
    later.queue.add(plan('v1', 'one'))
    expect(later.queue.list()[0]).toMatchObject({ state: 'waiting', attempts: 1, reason: 'cut' })
    await later.pass(2_000)
    expect(stateOf(later.queue, 'one')).toBe('queued')
  })

  test('wakes one taker for each job, and a taker that gave up takes nothing', async () => {
    const { queue } = await setUp()
    const leaving = new AbortController()
    const left = queue.take({ signal: leaving.signal })
    const taken = [queue.take({ signal: never }), queue.take({ signal: never })]
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    queue.add(plan('v1', 'one'))
    queue.add(plan('v2', 'two'))
    const digests = (await Promise.all(taken)).map(({ digest }) => digest).sort()
    expect(digests).toEqual([digestOf('one'), digestOf('two')].sort())
  })
})
