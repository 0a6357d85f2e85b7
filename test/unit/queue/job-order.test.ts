import { describe, expect, test } from 'vitest'
import { createSchedule } from '../../../src/topology/schedule.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed, repo } from '../../helpers/writers.ts'
import { idOf, openQueue, plan } from './queue-rig.ts'

const { signal } = new AbortController()
const DAY_MS = 86_400_000
const NIGHTLY = createSchedule({ cron: '0 1 * * *', window: 3_600_000, tz: 'UTC' })

type Queue = Awaited<ReturnType<typeof openQueue>>['queue']

async function order(queue: Queue, count: number): Promise<readonly string[]> {
  const ids: string[] = []
  for (let at = 0; at < count; at += 1) ids.push((await queue.take({ signal })).id)
  return ids
}

describe('queue / order: priority', () => {
  test('the higher goes first, and within one the first that came', async () => {
    const { queue } = await openQueue()
    for (const [name, priority] of [
      ['low', -1],
      ['first', 0],
      ['high', 5],
      ['second', 0],
      ['high too', 5],
    ] as const) {
      queue.add(plan(name.replace(' ', '-'), { priority }))
    }
    const names = ['high', 'high-too', 'first', 'second', 'low']
    expect(await order(queue, 5)).toEqual(names.map(idOf))
  })

  test('a job takes the highest that any of its references asks for, and gives it up with that', async () => {
    const { queue } = await openQueue()
    queue.add(plan('one'))
    queue.add(plan('two'))
    const key = { ...plan('two').key, reference: 'urgent' as never }
    queue.add(plan('two', { key, priority: 9 }))
    expect(queue.get(idOf('two'))).toMatchObject({ priority: 9 })
    queue.add(plan('three', { priority: 3 }))
    queue.forget(key)
    expect(queue.get(idOf('two'))).toMatchObject({ priority: 0 })
    expect(await order(queue, 3)).toEqual(['three', 'one', 'two'].map(idOf))
  })

  test('platforms and policies of all references unite', async () => {
    const { queue } = await openQueue()
    const key = { ...plan('one').key, reference: 'other' as never }
    queue.add(plan('one', { platforms: ['linux/arm64'], policies: ['a'] }))
    queue.add(plan('one', { key, platforms: ['linux/amd64'], policies: ['b'] }))
    expect(queue.get(idOf('one'))).toMatchObject({
      platforms: ['linux/amd64', 'linux/arm64'],
      policies: ['a', 'b'],
    })
  })
})

describe('queue / order: windows', () => {
  async function waiting(untilMs?: number) {
    const rig = await openQueue()
    rig.queue.add(plan('one', { windows: [NIGHTLY] }))
    const job = await rig.queue.take({ signal })
    const until = untilMs === undefined ? {} : { untilMs }
    rig.queue.defer(job, { kind: 'window', reason: 'waits for its window', ...until })
    return rig
  }

  test('a job waits until its window opens, to the millisecond, and that is no try', async () => {
    const { queue, clock, stateOf } = await waiting(START_MS + 40 * DAY_MS)
    expect(queue.get(idOf('one'))).toMatchObject({
      state: 'waiting',
      cause: 'window',
      nextTryAtMs: START_MS + 40 * DAY_MS,
      attempts: 0,
      windows: [NIGHTLY.text],
    })
    await clock.advance(40 * DAY_MS - 1)
    expect(stateOf('one')).toBe('waiting')
    await clock.advance(1)
    expect(stateOf('one')).toBe('queued')
  })

  test('a holder or a neighbour that shows up does not open it', async () => {
    const { queue, stateOf } = await waiting(START_MS + DAY_MS)
    queue.wake(repo('app'), digestNamed('one'))
    queue.wakeAll()
    expect(stateOf('one')).toBe('waiting')
  })

  test('one that never opens has no time, and waits for good', async () => {
    const { queue, clock, stateOf } = await waiting()
    expect(queue.get(idOf('one'))).not.toHaveProperty('nextTryAtMs')
    await clock.advance(400 * DAY_MS)
    expect(stateOf('one')).toBe('waiting')
  })

  test('a reference without a window, or with another one, lets it be looked at again', async () => {
    const { queue, stateOf } = await waiting(START_MS + DAY_MS)
    queue.add(plan('one', { windows: [NIGHTLY] }))
    expect(stateOf('one')).toBe('waiting')
    const key = { ...plan('one').key, reference: 'eager' as never }
    queue.add(plan('one', { key }))
    expect(queue.get(idOf('one'))).toMatchObject({ state: 'queued' })
    expect(queue.get(idOf('one'))).not.toHaveProperty('windows')
  })

  test('a clock that was set forward opens it soon, one that was set back does not', async () => {
    const { clock, stateOf } = await waiting(START_MS + DAY_MS)
    clock.jump(-DAY_MS)
    await clock.advance(DAY_MS)
    expect(stateOf('one')).toBe('waiting')
    clock.jump(2 * DAY_MS)
    await clock.advance(3_600_000)
    expect(stateOf('one')).toBe('queued')
  })

  test('a restart forgets the wait: whoever takes the job looks at the window again', async () => {
    const { disk } = await waiting(START_MS + DAY_MS)
    const later = await openQueue(disk)
    later.queue.add(plan('one', { windows: [NIGHTLY] }))
    expect(later.stateOf('one')).toBe('queued')
  })
})
