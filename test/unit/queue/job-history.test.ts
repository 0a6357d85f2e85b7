import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { openJobHistory } from '../../../src/queue/job-history.ts'
import { ENDED } from '../../../src/storage/index-tables.ts'
import { digestNamed } from '../../helpers/writers.ts'
import { idOf, MOST, openQueue, plan } from './queue-rig.ts'

const { signal } = new AbortController()

type Rig = Awaited<ReturnType<typeof openQueue>>

/** So many jobs that are done, one after the other. */
async function finish({ queue, history }: Rig, from: number, until: number): Promise<void> {
  for (let at = from; at < until; at += 1) {
    queue.add(plan(`job ${at}`))
    queue.finish(await queue.take({ signal }))
  }
  await history[Symbol.asyncDispose]()
}

const told = ({ queue }: Rig) =>
  [...queue.history.newest()].map(({ number, job }) => [number, job.id])

describe('queue / history', () => {
  test('what ended is there after a restart, with its outcome, its lines and whom it asked', async () => {
    const rig = await openQueue()
    rig.queue.add(plan('app'))
    const job = await rig.queue.take({ signal })
    const asked = { node: 'hub', digest: digestNamed('blob'), outcome: 'absent' } as const
    rig.queue.notes.asked(job.id, asked)
    rig.queue.note(job, { phase: 'blobs', bytesTotal: 7 })
    rig.queue.vanish(job, 'nobody has it')
    const [before, notes] = [rig.queue.get(idOf('app')), rig.queue.notes.of(idOf('app'))]
    expect(notes.log.map(({ text }) => text)).toEqual([
      'queued: asked for by app',
      'try 1 begins',
      `hub absent ${digestNamed('blob')}`,
      'phase blobs',
      'gone: nobody has it',
    ])
    await rig.history[Symbol.asyncDispose]()

    const later = await openQueue(rig.disk)
    expect(later.queue.get(idOf('app'))).toEqual(before)
    expect(before).toMatchObject({ state: 'gone', cause: 'no-holder', reason: 'nobody has it' })
    expect(later.queue.notes.of(idOf('app'))).toMatchObject(notes)
    expect(notes.asked).toMatchObject([asked])
  })

  test('numbers go on over a restart, and a job that ran again is told of as it is now', async () => {
    const rig = await openQueue()
    await finish(rig, 0, 2)
    const later = await openQueue(rig.disk)
    later.queue.add(plan('job 0'))
    expect(later.queue.get(idOf('job 0'))?.state).toBe('queued')
    expect(later.queue.notes.of(idOf('job 0')).log).toHaveLength(1)
    later.queue.finish(await later.queue.take({ signal }))
    expect(told(later)).toEqual([
      [3, idOf('job 0')],
      [2, idOf('job 1')],
      [1, idOf('job 0')],
    ])
  })

  test('the oldest goes where there are more than the bound, in memory and in the index', async () => {
    const rig = await openQueue()
    await finish(rig, 0, MOST + 5)
    const numbers = Array.from({ length: MOST }, (_, at) => MOST + 5 - at)
    expect(told(rig).map(([number]) => number)).toEqual(numbers)
    const rows = await rig.index.page(ENDED, { limit: 1_000 })
    expect(rows.map(([key]) => Number(key))).toEqual(numbers.toReversed())
    expect(rig.queue.get(idOf('job 0'))).toBeUndefined()
  })

  test('a bound that was lowered counts from the next start, and a bound of none keeps none', async () => {
    const { index, history: before, ...rig } = await openQueue()
    await finish({ index, history: before, ...rig }, 0, 10)
    const deps = { index, logger: silentLogger }
    for (const [most, left] of [
      [3, [8, 9, 10]],
      [0, []],
    ] as const) {
      const history = await openJobHistory(deps, most)
      await history[Symbol.asyncDispose]()
      const rows = await index.page(ENDED, { limit: 1_000 })
      expect(rows.map(([key]) => Number(key))).toEqual(left)
      expect([...history.newest()].map(({ number }) => number)).toEqual(left.toReversed())
    }
  })

  test('a history that cannot be written costs no job', async () => {
    const { index, queue } = await openQueue()
    queue.add(plan('app'))
    const job = await queue.take({ signal })
    queue.finish(job)
    const view = queue.get(idOf('app'))
    const warned: string[] = []
    const logger = { warn: (_fields: object, message: string) => void warned.push(message) }
    const transact = () => Promise.reject(new Error('disk full'))
    const history = await openJobHistory({ index: { ...index, transact }, logger }, 10)
    history.add(view as never, { log: [], asked: [] })
    await history[Symbol.asyncDispose]()
    expect(warned).toEqual(['history of jobs not written'])
    expect(history.get(idOf('app'))).toEqual(view)
  })
})
