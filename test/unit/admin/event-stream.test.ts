import { describe, expect, test } from 'vitest'
import type { JobView } from '../../../src/events/mesh-event.ts'
import { createSeededRandom } from '../../../src/simulator/seeded-random.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { createAdminParts } from './admin-parts.ts'

/** Reads blocks of the stream, one a call; undefined at the end. */
function blocksOf(answer: Response) {
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  return {
    next: async (): Promise<string | undefined> => {
      for (;;) {
        const at = text.indexOf('\n\n')
        if (at >= 0) {
          const block = text.slice(0, at)
          text = text.slice(at + 2)
          return block
        }
        const { done, value } = await reader.read()
        if (done) return undefined
        text += decoder.decode(value, { stream: true })
      }
    },
    cancel: () => reader.cancel(),
  }
}

describe('admin / live stream', () => {
  test('a reader first hears the present state, then what happens', async () => {
    const { ask, addJob, events, clock } = await createAdminParts()
    addJob('v1')
    const answer = await ask('/api/v1/events')
    expect(answer.headers.get('content-type')).toContain('text/event-stream')
    const blocks = blocksOf(answer)
    // Before anything was read: it must not fall between the state and the changes.
    events.emit({ kind: 'neighbour-up', node: 'hub' as NodeName })
    expect(await blocks.next()).toMatch(/^retry: \d+$/)
    const snapshot = await blocks.next()
    expect(snapshot).toMatch(/^event: snapshot\ndata: \{"status":.*"jobs":\[\{"id":"demo\/hello@/)
    const up = blocks.next()
    await settle()
    // What follows at once comes in the same write.
    events.emit({ kind: 'neighbour-down', node: 'hub' as NodeName })
    while (clock.step(clock.now() + 10)) await settle()
    expect(await up).toBe('event: neighbour-up\ndata: {"kind":"neighbour-up","node":"hub"}')
    expect(await blocks.next()).toBe(
      'event: neighbour-down\ndata: {"kind":"neighbour-down","node":"hub"}',
    )
    await blocks.cancel()
  })

  test('the present state and what follows make up what there is: nothing is missing, nothing comes twice', async () => {
    const { ask, addJob, queue, events, clock } = await createAdminParts()
    const { signal } = new AbortController()
    const pass = async (ms: number) => {
      const until = clock.now() + ms
      do await settle()
      while (clock.step(until))
    }
    const random = createSeededRandom(7)
    let made = 0
    const act = async () => {
      const open = queue.list().filter(({ state }) => state === 'queued')
      const dice = Math.floor(random.fraction() * 5)
      if (dice < 2 || open.length === 0) {
        made += 1
        addJob(`v${made}`)
        return
      }
      const job = await queue.take({ signal })
      for (let at = 1; at < 8; at += 1) queue.note(job, { bytesDone: at, bytesTotal: 9 })
      if (dice === 2) queue.finish(job)
      if (dice === 3) queue.defer(job, { kind: 'no-holder', reason: 'nobody' })
      if (dice === 4) queue.hold(job.id)
    }
    for (let at = 0; at < 50; at += 1) await act()

    const known = new Map<string, JobView>()
    const seen: JobView[] = []
    const blocks = blocksOf(await ask('/api/v1/events'))
    const over = (async () => {
      for (let block = await blocks.next(); block !== undefined; block = await blocks.next()) {
        const [, name, data = ''] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
        if (name === 'snapshot') {
          const { jobs } = JSON.parse(data) as { jobs: readonly JobView[] }
          for (const job of jobs) known.set(job.id, job)
        }
        if (name === 'job-changed') {
          const { job } = JSON.parse(data) as { job: JobView }
          seen.push(job)
          known.set(job.id, job)
        }
        if (name === 'neighbour-up') return
      }
    })()
    for (let at = 0; at < 400; at += 1) {
      await act()
      if (at % 10 === 0) await pass(30)
    }
    await pass(1_000)
    events.emit({ kind: 'neighbour-up', node: 'hub' as NodeName })
    await pass(1_000)
    await over
    await blocks.cancel()

    const standing = ({ id, state, bytesDone, changedAtMs }: JobView) =>
      [id, state, bytesDone, changedAtMs].join(' ')
    const there = queue.list().filter(({ state }) => state !== 'done')
    const told = [...known.values()].filter(({ state }) => state !== 'done')
    expect(new Set(told.map(standing))).toEqual(new Set(there.map(standing)))
    const moves = seen.map((job) => JSON.stringify(job))
    expect(moves.length).toBeGreaterThan(400)
    expect(new Set(moves).size).toBe(moves.length)
  })

  test('a node that stops ends its live streams', async () => {
    const stop = new AbortController()
    const { ask } = await createAdminParts({ stopping: stop.signal })
    const blocks = blocksOf(await ask('/api/v1/events'))
    await blocks.next()
    await blocks.next()
    const end = blocks.next()
    stop.abort()
    expect(await end).toBeUndefined()
  })

  test('the number of streams is bounded, and a reader that leaves makes room', async () => {
    const { ask } = await createAdminParts()
    const streams = []
    for (let at = 0; at < 64; at += 1) streams.push(blocksOf(await ask('/api/v1/events')))
    expect((await ask('/api/v1/events')).status).toBe(503)
    await streams[0]!.cancel()
    expect((await ask('/api/v1/events')).status).toBe(200)
  })
})
