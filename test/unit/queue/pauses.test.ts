import { describe, expect, test } from 'vitest'
import { START_MS, settle } from '../../helpers/fake-clock.ts'
import { idOf, openQueue, plan } from './queue-rig.ts'

const { signal } = new AbortController()

/** What is taken without waiting. */
async function taken(queue: Awaited<ReturnType<typeof openQueue>>['queue']) {
  const given = new AbortController()
  const takes = [1, 2, 3].map(() => queue.take({ signal: given.signal }).catch(() => undefined))
  await settle()
  given.abort(new Error('that was all'))
  const jobs = await Promise.all(takes)
  return jobs.flatMap((job) => (job === undefined ? [] : [job]))
}

describe('queue / pauses: of everything', () => {
  test('nothing is taken while all is paused, and everything goes on in its order', async () => {
    const { queue, pauses } = await openQueue()
    for (const name of ['one', 'two']) queue.add(plan(name))
    await pauses.pause({ scope: 'all' })
    queue.add(plan('three'))
    expect(await taken(queue)).toEqual([])
    expect(queue.list()).toMatchObject([
      { state: 'queued', pausedBy: 'all', reason: 'all transfers are paused' },
      { state: 'queued', pausedBy: 'all' },
      { state: 'queued', pausedBy: 'all' },
    ])
    expect(await pauses.resume({ scope: 'all' })).toBe(true)
    expect((await taken(queue)).map(({ id }) => id)).toEqual(['one', 'two', 'three'].map(idOf))
  })

  test('what runs stops at once, keeps what it has, and runs again after the pause', async () => {
    const { queue, pauses, stateOf } = await openQueue()
    queue.add(plan('one'))
    const job = await queue.take({ signal })
    queue.note(job, { bytesDone: 7, bytesTotal: 9 })
    await pauses.pause({ scope: 'all' })
    expect(job.stop.signal.aborted).toBe(true)
    expect(queue.get(job.id)).toMatchObject({ state: 'queued', bytesDone: 7, bytesTotal: 9 })
    await pauses.resume({ scope: 'all' })
    const again = await queue.take({ signal })
    expect([again.id, again.stop.signal.aborted, stateOf('one')]).toEqual([
      job.id,
      false,
      'running',
    ])
  })

  test('what runs and nobody asks for any more ends when it is paused', async () => {
    const { queue, pauses, stateOf } = await openQueue()
    queue.add(plan('one'))
    const job = await queue.take({ signal })
    queue.forget(plan('one').key)
    await pauses.pause({ scope: 'all' })
    expect([stateOf('one'), job.stop.signal.aborted]).toEqual(['superseded', true])
  })

  test('it outlives a restart, with its time', async () => {
    const { pauses, disk } = await openQueue()
    const pause = await pauses.pause({ scope: 'all' })
    expect(pause).toEqual({ scope: 'all', sinceMs: START_MS })
    await pauses.pause({ scope: 'link', name: 'hub' })
    const later = await openQueue(disk)
    later.queue.add(plan('one'))
    expect(later.pauses.list()).toEqual(pauses.list())
    expect(await taken(later.queue)).toEqual([])
    await later.pauses.resume({ scope: 'all' })
    expect(await taken(later.queue)).toHaveLength(1)
    expect((await openQueue(disk)).pauses.list()).toMatchObject([{ scope: 'link' }])
  })

  test('two thousand that were woken wait for its end, and nobody is told of each', async () => {
    const { queue, pauses, told, stateOf } = await openQueue()
    for (let at = 0; at < 2_000; at += 1) queue.add(plan(`c${at}`))
    for (let at = 0; at < 2_000; at += 1) {
      queue.defer(await queue.take({ signal }), { kind: 'no-holder', reason: 'nobody' })
    }
    await pauses.pause({ scope: 'all' })
    told.length = 0
    queue.wakeAll()
    await settle()
    expect([told.length, stateOf('c0')]).toEqual([0, 'waiting'])
    await pauses.resume({ scope: 'all' })
    expect(told.length).toBeLessThan(100)
    const ids = new Set<string>()
    for (let at = 0; at < 2_000; at += 1) {
      const job = await queue.take({ signal })
      ids.add(job.id)
      queue.finish(job)
    }
    expect(ids.size).toBe(2_000)
  }, 60_000)
})

describe('queue / pauses: of a policy', () => {
  test('only what nothing but paused policies asks for stays behind', async () => {
    const { queue, pauses } = await openQueue()
    queue.add(plan('nightly', { policies: ['nightly'] }))
    queue.add(plan('both', { policies: ['nightly', 'all'] }))
    queue.add(plan('own', {}))
    await pauses.pause({ scope: 'policy', name: 'nightly' })
    expect((await taken(queue)).map(({ id }) => id)).toEqual([idOf('both'), idOf('own')])
    expect(queue.get(idOf('nightly'))).toMatchObject({
      pausedBy: 'policy nightly',
      reason: 'policy nightly is paused',
    })
    await pauses.resume({ scope: 'policy', name: 'nightly' })
    expect((await taken(queue)).map(({ id }) => id)).toEqual([idOf('nightly')])
  })

  test('a job goes on when something else asks for it too', async () => {
    const { queue, pauses } = await openQueue()
    queue.add(plan('one', { policies: ['nightly'] }))
    await pauses.pause({ scope: 'policy', name: 'nightly' })
    expect(await taken(queue)).toEqual([])
    const key = { ...plan('one').key, reference: 'other' as never }
    queue.add(plan('one', { key, policies: ['all'] }))
    expect(await taken(queue)).toHaveLength(1)
  })
})

describe('queue / pauses: of a job', () => {
  test('it is held over a restart, until it is resumed or newer news', async () => {
    const { queue, disk, stateOf } = await openQueue()
    queue.add(plan('one'))
    const job = await queue.take({ signal })
    expect(queue.hold(job.id, 'pause')).toBe(true)
    expect(job.stop.signal.aborted).toBe(true)
    expect(queue.get(job.id)).toMatchObject({ state: 'held', pausedBy: 'job' })
    await settle()
    const later = await openQueue(disk)
    later.queue.add(plan('one'))
    expect(later.queue.get(job.id)).toMatchObject({ state: 'held', pausedBy: 'job' })
    expect(later.queue.resume(job.id)).toBe(true)
    expect(later.stateOf('one')).toBe('queued')
    queue.add(plan('one', { recordId: 'a newer record' }))
    expect(stateOf('one')).toBe('queued')
  })

  test('what was cancelled is not resumed, and what was paused may be cancelled', async () => {
    const { queue } = await openQueue()
    queue.add(plan('one'))
    const id = idOf('one')
    expect([queue.hold(id, 'pause'), queue.hold(id)]).toEqual([true, true])
    expect([queue.hold(id, 'pause'), queue.resume(id), queue.retry(id)]).toEqual([
      false,
      false,
      true,
    ])
  })
})
