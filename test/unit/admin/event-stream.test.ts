import { describe, expect, test } from 'vitest'
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
