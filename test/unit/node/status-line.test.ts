import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { DEFAULT_BOUNDS } from '../../../src/node/bounds.ts'
import { createChangeGate } from '../../../src/node/change-gate.ts'
import { listenHttp } from '../../../src/node/http-server.ts'
import { OciError } from '../../../src/oci/errors.ts'
import { errorResponse } from '../../../src/registry/error-response.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

/** A node whose term knows nothing, and what it is followed by. */
async function setUp() {
  const clock = createFakeClock()
  const empty = () =>
    errorResponse(new OciError('MANIFEST_UNKNOWN', { message: 'not here' }), silentLogger)
  const apps = { now: new Hono<never>().all('*', empty) }
  const gate = createChangeGate({ app: () => apps.now, clock })
  const http = await listenHttp(
    { app: gate, clock: systemClock, logger: silentLogger },
    { host: '127.0.0.1', port: 0, bounds: DEFAULT_BOUNDS },
  )
  const ask = async () => {
    const answer = await fetch(`http://127.0.0.1:${http.port}/v2/a/manifests/v1`)
    await answer.text()
    return [answer.status, answer.statusText]
  }
  return { apps, gate, clock, ask, [Symbol.dispose]: http.close }
}

test('a status line says why, and nothing of an answer that another one took the place of', async () => {
  using node = await setUp()
  expect(await node.ask()).toEqual([404, 'not here'])
  await node.gate.shut()
  const asked = node.ask()
  await eventually(() => node.clock.sleeping() === 1)
  node.apps.now = new Hono<never>().all('*', () => new Response('here'))
  node.gate.open()
  expect(await asked).toEqual([200, 'OK'])
})

test('who is put off by a change reads why in the status line', async () => {
  using node = await setUp()
  await node.gate.shut()
  const asked = node.ask()
  await eventually(() => node.clock.sleeping() === 1)
  await node.clock.advance(2_000)
  expect(await asked).toEqual([503, 'this node takes up another topology; try again in 2 s'])
})
