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

/** The API, for a reader of its stream. */
async function createReader() {
  const parts = await createAdminParts()
  const { clock, events } = parts
  const up = (node: string) => events.emit({ kind: 'neighbour-up', node: node as NodeName })
  /** Lets time pass until it is there. */
  const passUntil = async <T>(what: Promise<T>): Promise<T> => {
    let isThere = false
    const known = what.then(() => {
      isThere = true
    })
    while (!isThere) {
      await settle()
      clock.step(clock.now() + 60_000)
    }
    await known
    return what
  }
  return { ...parts, up, passUntil }
}

function idOf(block: string | undefined): string {
  const [, id] = /^id: (.+)$/m.exec(block ?? '') ?? []
  if (id === undefined) throw new Error(`expected an id in ${block}`)
  return id
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
    expect(await up).toMatch(
      /^event: neighbour-up\ndata: \{"kind":"neighbour-up","node":"hub"\}\nid: \S+$/,
    )
    expect(await blocks.next()).toMatch(
      /^event: neighbour-down\ndata: \{"kind":"neighbour-down","node":"hub"\}\nid: \S+$/,
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
        const [, name, data = ''] = /^event: (.*)\ndata: (.*)$/m.exec(block) ?? []
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
    const there = queue.list()
    const told = [...known.values()].filter(({ state }) => state !== 'done')
    expect(new Set(told.map(standing))).toEqual(new Set(there.map(standing)))
    const moves = seen.map((job) => JSON.stringify(job))
    expect(moves.length).toBeGreaterThan(400)
    expect(new Set(moves).size).toBe(moves.length)
  })

  test('who comes back goes on where its stream ended, without the present state', async () => {
    const { ask, up, passUntil } = await createReader()
    const first = blocksOf(await ask('/api/v1/events'))
    await first.next()
    const place = idOf(await first.next())
    await first.cancel()
    up('a')
    up('b')
    const second = blocksOf(await ask('/api/v1/events', { headers: { 'last-event-id': place } }))
    expect(await second.next()).toMatch(/^retry: \d+$/)
    const a = await passUntil(second.next())
    expect(a).toContain('"node":"a"')
    expect(await second.next()).toContain('"node":"b"')
    await second.cancel()
    // Each event is a place to go on from.
    const third = blocksOf(await ask('/api/v1/events', { headers: { 'last-event-id': idOf(a) } }))
    await third.next()
    expect(await passUntil(third.next())).toContain('"node":"b"')
    await third.cancel()
  })

  test('who was away for too long, or comes from another run of the node, begins with the present state', async () => {
    const { ask, up } = await createReader()
    const first = blocksOf(await ask('/api/v1/events'))
    await first.next()
    const place = idOf(await first.next())
    await first.cancel()
    const begins = async (id: string) => {
      const blocks = blocksOf(await ask('/api/v1/events', { headers: { 'last-event-id': id } }))
      await blocks.next()
      const block = await blocks.next()
      await blocks.cancel()
      return block?.startsWith('event: snapshot\n')
    }
    const [run = ''] = place.split('.')
    for (const id of [`x${place}`, `${run}.1`, `${run}.-1`, `${run}.`, run, '7', '\u00ff']) {
      expect(await begins(id), id).toBe(true)
    }
    for (let at = 0; at < 1_001; at += 1) up(`node-${at}`)
    expect(await begins(place)).toBe(true)
  })

  test('a reader that does not read is cut with the reason', async () => {
    const { ask, up, passUntil } = await createReader()
    const blocks = blocksOf(await ask('/api/v1/events'))
    await blocks.next()
    await blocks.next()
    for (let at = 0; at < 1_001; at += 1) up(`node-${at}`)
    expect(await passUntil(blocks.next())).toMatch(
      /^event: cut\ndata: \{"reason":"1001 events waited, .* read faster"\}$/,
    )
    expect(await blocks.next()).toBeUndefined()
  })

  test('a reader that is as far behind as the log reaches hears all of it', async () => {
    const { ask, up, passUntil } = await createReader()
    const blocks = blocksOf(await ask('/api/v1/events'))
    await blocks.next()
    await blocks.next()
    for (let at = 0; at < 1_000; at += 1) up(`node-${at}`)
    expect(await passUntil(blocks.next())).toContain('"node":"node-0"')
    for (let at = 1; at < 1_000; at += 1) {
      expect(await blocks.next()).toContain(`"node":"node-${at}"`)
    }
    await blocks.cancel()
  })

  test('silence is broken by a beat', async () => {
    const { ask, passUntil } = await createReader()
    const blocks = blocksOf(await ask('/api/v1/events'))
    await blocks.next()
    await blocks.next()
    expect(await passUntil(blocks.next())).toBe(': alive')
    await blocks.cancel()
  })

  test('a record is told by its name, not by its bytes', async () => {
    const { ask, events, passUntil } = await createReader()
    const blocks = blocksOf(await ask('/api/v1/events'))
    await blocks.next()
    await blocks.next()
    const signed = {
      id: 'ab',
      writer: 'peer',
      bytes: Uint8Array.of(1),
      record: { reference: 'v1' },
    }
    const arrival = { via: 'feed', from: 'hub' } as const
    events.emit({ kind: 'record-parked', arrival, signed } as never)
    const block = await passUntil(blocks.next())
    expect(block).toContain('"id":"ab","reference":"v1","writer":"peer"')
    expect(block).not.toContain('bytes')
    await blocks.cancel()
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
