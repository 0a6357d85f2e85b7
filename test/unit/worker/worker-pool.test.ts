import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import type { Fetch } from '../../../src/planner/planner.ts'
import { createJobQueue } from '../../../src/queue/create-job-queue.ts'
import type { Job } from '../../../src/queue/job.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import { createJobStore } from '../../../src/queue/job-store.ts'
import type { RecordKey } from '../../../src/record/tag-record.ts'
import { keyText } from '../../../src/record/tag-record.ts'
import { createSchedule } from '../../../src/topology/schedule.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createFetcher } from '../../../src/transfer/fetcher.ts'
import { createWorkerPool } from '../../../src/worker/worker-pool.ts'
import { START_MS, settle } from '../../helpers/fake-clock.ts'
import { makeImage, makeIndex, type TestManifest } from '../../helpers/images.ts'
import { openStorage } from '../../helpers/storage-rig.ts'
import { createWriter, ref, repo } from '../../helpers/writers.ts'
import { createScriptedHolder } from './scripted-holder.ts'

const REPO = repo('app')

async function setUp(
  images: readonly TestManifest[],
  {
    workers = 2,
    isWanted = () => true,
    sources = ['hub'],
  }: {
    readonly workers?: number
    readonly isWanted?: (job: Job) => boolean
    readonly sources?: readonly string[]
  } = {},
) {
  const rig = await openStorage({ writer: 'edge' })
  const { clock, events, blobs, content, index } = rig
  const holder = createScriptedHolder(images)
  const store = createJobStore({ index })
  const logger = silentLogger
  const history = await openJobHistory({ index, logger }, 200)
  const queue = createJobQueue({ store, history, events, clock, random: systemRandom, logger })
  const rank = () => sources as NodeName[]
  const fetcher = createFetcher({
    source: holder.source,
    blobs,
    events,
    sources: { rank, failed: () => {} },
  })
  const considered: string[] = []
  const errors: object[] = []
  const givenUp: string[] = []
  const pool = createWorkerPool(
    {
      fetcher,
      blobs,
      leases: rig.leases,
      damage: rig.damage,
      content,
      queue,
      clock,
      isWanted,
      giveUp: ({ reference }) => void givenUp.push(reference),
      timeZone: 'UTC',
      logger: { ...silentLogger, error: (fields) => void errors.push(fields) },
      consider: (key: RecordKey) => void considered.push(keyText(key)),
    },
    { workers },
  )
  const want = async (image: TestManifest, reference = 'v1', fetch: Fetch = {}) => {
    const key = { repository: REPO, reference: ref(reference) }
    const put = createWriter('hub').put([], { ...key, digest: image.digest })
    await index.transact((tx) => rig.ledger.add(tx, put))
    queue.add({ kind: 'pull', key, digest: image.digest, recordId: put.id, ...fetch })
    return `${REPO}@${image.digest}`
  }
  const states: string[] = []
  events.on('job-changed', ({ job: { state, phase } }) => {
    const text = phase === undefined ? state : `${state} ${phase}`
    if (states.at(-1) !== text) states.push(text)
  })
  return { rig, holder, queue, pool, want, considered, givenUp, errors, states }
}

const image = makeImage('image', { layers: 1, layerBytes: 1_000 })

describe('worker / worker-pool', () => {
  test('a job goes from queued to done, its phases are told, and its keys are looked at again', async () => {
    const { pool, want, states, considered, rig, queue } = await setUp([image])
    const id = await want(image)
    pool.start()
    await settle()
    expect(states).toEqual([
      'queued',
      'running',
      'running manifest',
      'running missing',
      'running blobs',
      'running commit',
      'done',
    ])
    expect(considered).toEqual([keyText({ repository: REPO, reference: ref('v1') })])
    const total = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0)
    expect(queue.get(id)).toMatchObject({ bytesDone: total, bytesTotal: total })
    expect(await rig.content.tags(REPO, { limit: 5 })).toEqual(['v1'])
  })

  test('as many jobs run side by side as there are workers', async () => {
    const images = ['a', 'b', 'c'].map((name) => makeImage(name, { layers: 1 }))
    const { pool, want, holder, queue } = await setUp(images, { workers: 2 })
    for (const [at, one] of images.entries()) await want(one, `v${at}`)
    const gate = holder.holdUp()
    pool.start()
    await settle()
    expect(queue.counts()).toEqual({ running: 2, queued: 1 })
    gate.resolve()
    await settle()
    expect([...queue.history.newest()].map(({ job }) => job.state)).toEqual([
      'done',
      'done',
      'done',
    ])
  })

  test('a job that nobody can serve waits, and is done when a holder has come', async () => {
    const { pool, want, queue, holder } = await setUp([image])
    const lost = makeImage('lost')
    const id = await want(lost)
    pool.start()
    await settle()
    expect(queue.get(id)).toMatchObject({ state: 'waiting', reason: 'hub: not there', attempts: 1 })
    expect(holder.manifestsAsked()).toEqual([lost.digest])
    queue.wake(REPO, lost.digest)
    await settle()
    expect(queue.get(id)).toMatchObject({ state: 'waiting', attempts: 2 })
  })

  test('a job that nobody has and nobody wants any more is gone', async () => {
    const { pool, want, queue } = await setUp([], { isWanted: () => false })
    const id = await want(image)
    pool.start()
    await settle()
    expect(queue.get(id)).toMatchObject({ state: 'gone', reason: 'hub: not there' })
  })

  test('a key by digest is given up with its job, and not looked at again; a tag is', async () => {
    const { pool, want, queue, givenUp, considered } = await setUp([], { isWanted: () => false })
    const id = await want(image)
    await want(image, image.digest)
    pool.start()
    await settle()
    expect([queue.get(id)?.state, givenUp]).toEqual(['gone', [image.digest]])
    expect(considered).toEqual([keyText({ repository: REPO, reference: ref('v1') })])
  })

  describe('windows', () => {
    const HOUR_MS = 3_600_000
    /** The clock of the rig begins at midnight. */
    const NIGHT = createSchedule({ cron: '0 1 * * *', window: HOUR_MS, tz: 'UTC' })
    const layer = image.blobs[1]

    test('a job waits for its window, whoever shows up, and runs in it', async () => {
      const { pool, want, queue, holder, rig } = await setUp([image])
      const id = await want(image, 'v1', { windows: [NIGHT] })
      pool.start()
      await settle()
      expect(queue.get(id)).toMatchObject({
        state: 'waiting',
        cause: 'window',
        reason: 'waits for its window, which opens at 2026-01-01T01:00:00.000Z',
        nextTryAtMs: START_MS + HOUR_MS,
        bytesTotal: image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0),
      })
      queue.wake(REPO, image.digest)
      queue.wakeAll()
      await settle()
      expect([queue.get(id)?.state, holder.blobsAsked()]).toEqual(['waiting', []])
      await rig.clock.advance(HOUR_MS)
      await settle()
      expect(queue.get(id)?.state).toBe('done')
    })

    test('what runs when the window closes stops, keeps its bytes, and goes on from there in the next one', async () => {
      const { pool, want, queue, holder, rig, errors } = await setUp([image])
      const id = await want(image, 'v1', { windows: [NIGHT] })
      const gate = holder.holdUp()
      pool.start()
      await rig.clock.advance(HOUR_MS)
      await settle()
      expect(queue.get(id)?.state).toBe('running')
      await rig.clock.advance(HOUR_MS)
      await settle()
      expect(queue.get(id)).toMatchObject({
        state: 'waiting',
        cause: 'window',
        nextTryAtMs: START_MS + 25 * HOUR_MS,
      })
      expect([holder.open(), errors]).toEqual([0, []])
      gate.resolve()
      await rig.clock.advance(23 * HOUR_MS)
      await settle()
      expect(queue.get(id)?.state).toBe('done')
      if (layer !== undefined) expect(holder.offsetsOf(layer.digest)).toEqual([0, 500])
    })

    test('a reference that may come at once brings it at once, for both', async () => {
      const { pool, want, queue, rig } = await setUp([image])
      const id = await want(image, 'v1', { windows: [NIGHT] })
      pool.start()
      await settle()
      expect(queue.get(id)?.state).toBe('waiting')
      await want(image, 'latest')
      await settle()
      expect(queue.get(id)?.state).toBe('done')
      expect(await rig.content.tags(REPO, { limit: 5 })).toEqual(['latest', 'v1'])
    })
  })

  test('who joined a running job and asks for more platforms is not shown by it', async () => {
    const index = makeIndex([makeImage('amd'), makeImage('arm')])
    const { pool, want, holder, rig, considered } = await setUp([index])
    await want(index, 'v1', { platforms: ['linux/arm64'] })
    const gate = holder.holdUp()
    pool.start()
    await settle()
    await want(index, 'latest')
    gate.resolve()
    await settle()
    expect(await rig.content.tags(REPO, { limit: 5 })).toEqual(['v1'])
    // It is looked at again, and gets a job of its own.
    expect(considered).toContain(keyText({ repository: REPO, reference: ref('latest') }))
  })

  test('while no source is connected nothing is given up, wanted or not', async () => {
    const { pool, want, queue } = await setUp([image], { isWanted: () => false, sources: [] })
    const id = await want(image)
    pool.start()
    await settle()
    expect(queue.get(id)).toMatchObject({ state: 'waiting', reason: 'no source is connected' })
  })

  test('a fault of this node is logged, and the job waits', async () => {
    const { pool, want, queue, rig, errors } = await setUp([image])
    const id = await want(image)
    Reflect.set(rig.blobs, 'stage', async () => {
      throw new Error('no space left on device')
    })
    pool.start()
    await settle()
    expect(queue.get(id)).toMatchObject({
      state: 'waiting',
      cause: 'local-fault',
      reason: 'no space left on device',
    })
    expect(errors).toHaveLength(1)
  })

  test('a cancelled job stops where it is, and after a retry goes on from there', async () => {
    const { pool, want, queue, holder, rig, errors } = await setUp([image])
    const id = await want(image)
    const gate = holder.holdUp()
    pool.start()
    await settle()
    expect(queue.hold(id)).toBe(true)
    await settle()
    expect([queue.get(id)?.state, holder.open(), errors]).toEqual(['held', 0, []])
    gate.resolve()
    queue.retry(id)
    await settle()
    expect(queue.get(id)?.state).toBe('done')
    expect(await rig.content.tags(REPO, { limit: 5 })).toEqual(['v1'])
    const layer = image.blobs[1]
    if (layer !== undefined) expect(holder.offsetsOf(layer.digest)).toEqual([0, 500])
  })

  /**
   * A person cancels and retries at once. The first run ended only then, looked at the job as it was by now, running,
   * and took its own abort for a fault of the job: it deferred the second run from under the other worker.
   */
  test('a retry in the same turn as the cancel is not undone by the end of the first run', async () => {
    const { pool, want, queue, holder, errors, states } = await setUp([image])
    const id = await want(image)
    const gate = holder.holdUp()
    pool.start()
    await settle()
    queue.hold(id)
    queue.retry(id)
    await settle()
    expect([queue.get(id)?.state, errors]).toEqual(['running', []])
    gate.resolve()
    await settle()
    expect(queue.get(id)?.state).toBe('done')
    expect(states).not.toContain('waiting')
  })

  test('closing stops the jobs without a trace of failure: they are derived again at the next start', async () => {
    const { pool, want, queue, holder, errors } = await setUp([image])
    const id = await want(image)
    holder.holdUp()
    pool.start()
    await settle()
    await pool[Symbol.asyncDispose]()
    expect([queue.get(id)?.state, holder.open(), errors]).toEqual(['running', 0, []])
  })

  test('progress is told at most five times a second, and its end always', async () => {
    const parts = await setUp([makeImage('many', { layers: 12, layerBytes: 40 })])
    const { pool, want, rig } = parts
    const done: number[] = []
    rig.events.on('job-changed', ({ job }) => {
      if (job.phase === 'blobs' && job.bytesTotal !== undefined) done.push(job.bytesDone)
    })
    const id = await want(makeImage('many', { layers: 12, layerBytes: 40 }))
    pool.start()
    await settle()
    const { bytesTotal = 0 } = parts.queue.get(id) ?? {}
    expect(new Set(done)).toEqual(new Set([0, bytesTotal]))
  })
})
