import { connect, type Socket } from 'node:net'
import { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import type { Logger } from '../../../src/lib/logger.ts'
import { type Bounds, DEFAULT_BOUNDS } from '../../../src/node/bounds.ts'
import { listenHttp } from '../../../src/node/http-server.ts'
import { createLoopWatch } from '../../../src/node/loop-watch.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { exchange } from '../../helpers/raw-http.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

function makeLog() {
  const messages: string[] = []
  const keep = (_: object, message: string) => void messages.push(message)
  const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep, child: () => logger }
  return { messages, logger }
}

/** A server whose `/wait` answers when told, and whose `/endless` sends for ever. */
async function serve(bounds: Partial<Bounds>) {
  const { messages, logger } = makeLog()
  const waiting: (() => void)[] = []
  const app = new Hono()
  app.get('/healthz', (context) => context.text('alive'))
  app.get('/v2/wait', async (context) => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    return context.text('waited')
  })
  app.get('/endless', () => new Response(endless()))
  app.all('*', (context) => context.text('here'))
  const http = await listenHttp(
    { app, clock: systemClock, logger },
    { host: '127.0.0.1', port: 0, bounds: { ...DEFAULT_BOUNDS, ...bounds } },
  )
  ends.push(() => http.close())
  return { port: http.port, messages, waiting }
}

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)),
  })
}

function open(port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(text)
  ends.push(() => socket.destroy())
  return socket
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`

describe('node / bounds of the HTTP server', () => {
  test('one request too many gets 503, health still answers, and one that ends makes room', async () => {
    const { port, messages, waiting } = await serve({ requests: 2 })
    open(port, get('/v2/wait'))
    open(port, get('/v2/wait'))
    await eventually(() => waiting.length === 2)
    const refused = await exchange(port, [get('/v2/')])
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(JSON.parse(refused.body)).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] })
    expect(JSON.parse((await exchange(port, [get('/api/v1/status')])).body)).toMatchObject({
      error: { code: 'TOOMANYREQUESTS' },
    })
    expect((await exchange(port, [get('/healthz')])).status).toBe(200)
    expect(messages).toEqual(['too many requests under way: more are refused'])
    waiting.shift()?.()
    await eventually(async () => (await exchange(port, [get('/v2/')])).status === 200)
  })

  test('one connection too many is closed, those that are there go on, and it is said once', async () => {
    const { port, messages } = await serve({ connections: 2 })
    const first = open(port, get('/healthz'))
    await new Promise((resolve) => first.once('data', resolve))
    const second = open(port, get('/healthz'))
    await new Promise((resolve) => second.once('data', resolve))
    for (let at = 0; at < 3; at += 1) {
      const refused = await exchange(port, [get('/healthz')])
      expect([refused.status, refused.isClosed]).toEqual([undefined, true])
    }
    expect(messages).toEqual(['too many connections: new ones are closed'])
    first.write(get('/healthz'))
    const [answer] = await new Promise<[Buffer]>((resolve) =>
      first.once('data', (data: Buffer) => resolve([data])),
    )
    expect(answer.toString()).toContain('alive')
    second.destroy()
    await eventually(async () => (await exchange(port, [get('/healthz')])).status === 200)
  })

  test('a client that asks and does not read is cut', async () => {
    const { port, messages } = await serve({ stallTimeout: 400 })
    const socket = open(port, get('/endless'))
    socket.pause()
    await eventually(() => messages.includes('stalled client cut off'))
  })

  test('a request whose answer takes long is not cut: the client waits for the node', async () => {
    const { port, messages, waiting } = await serve({ stallTimeout: 100 })
    const answer = exchange(port, [get('/v2/wait')])
    await eventually(() => waiting.length === 1)
    await systemClock.sleep(500)
    expect(messages).toEqual([])
    waiting.shift()?.()
    expect((await answer).body).toBe('waited')
  })

  test('a request that is no URL is answered in the form of the OCI API', async () => {
    const { port } = await serve({})
    for (const bytes of [
      get('/v2/a\\b'),
      get('/v2/../x'),
      get('/v2/').replace('127.0.0.1', 'a b'),
    ]) {
      const answer = await exchange(port, [bytes])
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ message: expect.anything() }] })
    }
  })
})

describe('node / event loop', () => {
  test('a loop that is held up again and again is late, until it keeps up again', async () => {
    const clock = createFakeClock()
    const { messages, logger } = makeLog()
    const watch = createLoopWatch({ clock, logger }, { loopDelay: 60 })
    ends.push(() => watch.close())
    expect(watch.isLate()).toBe(false)
    await systemClock.sleep(30)
    for (let at = 0; at < 5; at += 1) {
      const until = performance.now() + 150
      while (performance.now() < until);
      await systemClock.sleep(1)
    }
    await clock.advance(5_000)
    expect(watch.isLate()).toBe(true)
    const answers: boolean[] = []
    const ask = () => void watch.isStillLate().then((answer) => answers.push(answer))
    ask()
    await eventually(async () => {
      await systemClock.sleep(100)
      await clock.advance(5_000)
      return !watch.isLate()
    })
    ask()
    await clock.advance(0)
    // It waited for a window in which the loop kept up.
    expect(answers).toEqual([false, false])
    expect(messages).toEqual([
      'event loop is late: new uploads are put off',
      'event loop keeps up again',
    ])
  })

  test('a loop that stays late is waited for no longer than two windows', async () => {
    const clock = createFakeClock()
    const watch = createLoopWatch({ clock, logger: makeLog().logger }, { loopDelay: 60 })
    ends.push(() => watch.close())
    await systemClock.sleep(30)
    const answers: boolean[] = []
    for (let window = 0; window <= 3; window += 1) {
      for (let at = 0; at < 3; at += 1) {
        const until = performance.now() + 150
        while (performance.now() < until);
        await systemClock.sleep(1)
      }
      await clock.advance(5_000)
      if (window === 0) void watch.isStillLate().then((answer) => answers.push(answer))
      if (window === 1) expect(answers).toEqual([])
    }
    expect(answers).toEqual([true])
  })
})
