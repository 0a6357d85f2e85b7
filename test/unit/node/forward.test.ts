import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createForwarder, takeCaller } from '../../../src/node/forward.ts'
import { eventually } from '../../helpers/eventually.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

/** A reader's server that hands everything over, and the main thread behind its socket; undefined: nobody listens there. */
async function setUp(main: RequestListener | undefined) {
  await using building = new AsyncDisposableStack()
  const directory = building.use(await makeTemporaryDirectory())
  const socketPath = join(directory.path, 'main.sock')
  const serve = async (listener: RequestListener, at: ListenOptions) => {
    const server = createServer(listener)
    server.listen(at)
    await once(server, 'listening')
    building.defer(async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    })
    return server
  }
  if (main !== undefined) {
    await serve(
      (incoming, outgoing) => {
        takeCaller(incoming)
        main(incoming, outgoing)
      },
      { path: socketPath },
    )
  }
  const warned: unknown[] = []
  const nothing = () => {}
  const logger = { debug: nothing, info: nothing, error: nothing, child: () => logger }
  const forwarder = createForwarder(
    { logger: { ...logger, warn: (fields: object) => void warned.push(fields) } as never },
    { socketPath },
  )
  building.defer(forwarder.close)
  const server = await serve((...both) => void forwarder.forward(...both), {
    port: 0,
    host: '127.0.0.1',
  })
  const { port } = server.address() as AddressInfo
  const parts = building.move()
  return {
    url: `http://127.0.0.1:${port}`,
    warned,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

describe('node / forward', () => {
  test('a client that leaves while it waits for the answer ends the request', async () => {
    const waiting: ServerResponse[] = []
    await using rig = await setUp((incoming, outgoing) => {
      incoming.resume()
      waiting.push(outgoing)
    })
    const sent = request(`${rig.url}/v2/`)
    sent.on('error', () => {})
    sent.end()
    await eventually(() => waiting.length === 1)
    sent.destroy()
    await eventually(() => waiting[0]?.closed === true)
    expect(rig.warned).toEqual([])
  })

  test('what cannot be handed over is answered 502', async () => {
    await using rig = await setUp(undefined)
    expect((await fetch(`${rig.url}/v2/`)).status).toBe(502)
    expect(rig.warned).toHaveLength(1)
  })

  test('an answer before the body is in reaches the client, with its status line', async () => {
    await using rig = await setUp((_, outgoing) => {
      outgoing.writeHead(507, 'the disk is full').end()
    })
    const sent = request(rig.url, { method: 'PUT', headers: { 'content-length': '9000000' } })
    sent.on('error', () => {})
    sent.write(new Uint8Array(1_000_000))
    const [got] = (await once(sent, 'response')) as [IncomingMessage]
    expect([got.statusCode, got.statusMessage]).toEqual([507, 'the disk is full'])
    sent.destroy()
  })

  test('the address of the client is told, whatever the client says of it', async () => {
    const callers: unknown[] = []
    await using rig = await setUp(({ socket, headers }, outgoing) => {
      callers.push([socket.remoteAddress, headers['x-entrepot-caller']])
      outgoing.end('answer')
    })
    for (let at = 0; at < 3; at += 1) {
      const got = await fetch(rig.url, { headers: { 'x-entrepot-caller': '10.9.9.9' } })
      expect(await got.text()).toBe('answer')
    }
    expect(callers).toEqual(Array(3).fill(['127.0.0.1', undefined]))
  })
})
