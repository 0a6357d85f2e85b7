import { describe, expect, test } from 'vitest'
import { createEventFeed, type FeedItem } from '../../../src/admin/event-feed.ts'
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import { createSimClock, settle } from '../../../src/simulator/sim-clock.ts'
import type { NodeName } from '../../../src/topology/topology.ts'

function job(bytesDone: number, state: JobView['state'] = 'running'): JobView {
  const [repository, digest] = ['demo/hello' as RepositoryName, digestOf(Buffer.from('1'))]
  const times = { createdAtMs: 0, changedAtMs: 0 }
  const asked = { priority: 0, policies: [], platforms: 'all' } as const
  return {
    id: 'job',
    repository,
    digest,
    references: [],
    state,
    bytesDone,
    attempts: 1,
    ...asked,
    ...times,
  }
}

function setUp() {
  const clock = createSimClock(0)
  const events = createEventBus({ logger: silentLogger })
  const feed = createEventFeed({ events, clock })
  const seen: FeedItem[] = []
  /** Reads until nothing comes without time passing. */
  const read = async () => {
    void (async () => {
      for (let item = await feed.next(); item !== undefined; item = await feed.next()) {
        seen.push(item)
      }
      ended = true
    })()
    await settle()
  }
  let ended = false
  const bytes = () =>
    seen.flatMap((item) =>
      item.kind === 'event' && item.event.kind === 'job-changed' ? [item.event.job.bytesDone] : [],
    )
  const up = (name: string) => events.emit({ kind: 'neighbour-up', node: name as NodeName })
  return { clock, events, feed, seen, read, bytes, up, isEnded: () => ended }
}

describe('admin / event feed', () => {
  test('events come in order, each once', async () => {
    const { read, seen, up } = setUp()
    up('a')
    up('b')
    await read()
    up('c')
    await settle()
    const names = seen.map((item) =>
      item.kind === 'event' && item.event.kind === 'neighbour-up' ? item.event.node : item.kind,
    )
    expect(names).toEqual(['a', 'b', 'c'])
  })

  test('progress of a job is told at most five times a second, and the last one always', async () => {
    const { clock, events, read, bytes } = setUp()
    await read()
    for (let at = 1; at <= 10; at += 1) events.emit({ kind: 'job-changed', job: job(at) })
    await settle()
    expect(bytes()).toEqual([1])
    clock.step(200)
    await settle()
    expect(bytes()).toEqual([1, 10])
    clock.step(400)
    await settle()
    expect(bytes()).toEqual([1, 10])
  })

  test('another state of a job is told at once, and no older progress after it', async () => {
    const { clock, events, read, bytes } = setUp()
    await read()
    for (const at of [1, 2]) events.emit({ kind: 'job-changed', job: job(at) })
    events.emit({ kind: 'job-changed', job: job(3, 'done') })
    await settle()
    expect(bytes()).toEqual([1, 3])
    clock.step(200)
    await settle()
    expect(bytes()).toEqual([1, 3])
  })

  test('no progress of former jobs comes after they were all reset', async () => {
    const { clock, events, read, seen } = setUp()
    await read()
    for (const at of [1, 2]) events.emit({ kind: 'job-changed', job: job(at) })
    events.emit({ kind: 'jobs-reset' })
    events.emit({ kind: 'job-changed', job: job(0) })
    clock.step(400)
    await settle()
    const kinds = seen.map((item) => (item.kind === 'event' ? item.event.kind : item.kind))
    expect(kinds).toEqual(['job-changed', 'jobs-reset', 'job-changed'])
  })

  test('silence is broken by a beat', async () => {
    const { clock, read, seen } = setUp()
    await read()
    clock.step(15_000)
    await settle()
    expect(seen).toEqual([{ kind: 'beat' }])
  })

  test('a reader that does not read is cut with a reason, and nothing more is kept for it', async () => {
    const { read, seen, up, isEnded } = setUp()
    for (let at = 0; at < 5_000; at += 1) up(`node-${at}`)
    await read()
    expect(seen).toEqual([{ kind: 'cut', reason: expect.stringContaining('1000 events') }])
    expect(isEnded()).toBe(true)
  })

  test('a feed that was closed ends and hears nothing more', async () => {
    const { feed, read, seen, up, isEnded } = setUp()
    await read()
    feed.close()
    up('a')
    await settle()
    expect(seen).toEqual([])
    expect(isEnded()).toBe(true)
  })
})
