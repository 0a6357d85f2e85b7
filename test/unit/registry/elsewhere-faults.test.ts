import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import { connect, Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { proxyPush } from '../../../src/registry/proxy-push.ts'
import { eventually } from '../../helpers/eventually.ts'
import { makeImage } from '../../helpers/images.ts'
import { answer, REPO, startElsewhere, UPLOADS } from './elsewhere-rig.ts'
import { errorOf } from './registry-rig.ts'

const MIB = 1024 ** 2
/** Bytes: many times what the sockets on the way take in. */
const LARGE = 128 * MIB

/** Whether something has begun and did not move for ten looks. */
function standsStill(count: () => number): () => boolean {
  let [last, looks] = [0, 0]
  return () => {
    looks = count() === last && last > 0 ? looks + 1 : 0
    last = count()
    return looks >= 10
  }
}

describe('registry / elsewhere, when something fails', () => {
  test('a client that left before its turn is answered by nobody, and holds no place', async () => {
    // It left while this node looked for what it asked; its answer then waited for it for ever.
    const writer = answer(200, {}, 'x'.repeat(1_000_000))
    await using rig = await startElsewhere(writer, { maxRequests: 1 })
    const outgoing = new ServerResponse(new IncomingMessage(new Socket()))
    outgoing.destroy()
    await eventually(() => outgoing.closed)
    const request = {
      method: 'GET',
      query: new URLSearchParams(),
      headers: {},
      address: '127.0.0.1',
      body: () => new IncomingMessage(new Socket()),
      outgoing,
    }
    const { elsewhere, logger } = rig
    await proxyPush({ elsewhere, logger }, request, { kind: 'tags', repository: REPO })
    expect(rig.requests).toEqual([])
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(200)
  })

  test('a reader is answered by this node where the writer is ill', async () => {
    const image = makeImage('kept')
    let isIll = false
    const well = answer(201, { 'docker-content-digest': makeImage('next').digest })
    const ill = answer(503, {}, 'no backend')
    await using rig = await startElsewhere((...args) => (isIll ? ill : well)(...args), {
      anonymous: 'push',
    })
    await rig.bring('v1', image)
    expect((await rig.putManifest('team/app', 'v1', makeImage('next'))).status).toBe(201)
    isIll = true
    const path = `/v2/team/app/blobs/${image.blobs[0]?.digest}`
    expect((await rig.ask(path, { method: 'HEAD' })).status).toBe(200)
    const shown = await rig.ask('/v2/team/app/manifests/v1')
    expect([shown.status, shown.headers.get('docker-content-digest')]).toEqual([200, image.digest])
    // Who pushes is told what the writer says.
    const begun = await rig.ask(UPLOADS, { method: 'POST' })
    expect([begun.status, await begun.text()]).toEqual([503, 'no backend'])
  })

  test('a writer that takes connections and says nothing leaves a push that begins to the next one', async () => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    await using _ = {
      [Symbol.asyncDispose]: async () => {
        silent.closeAllConnections()
        silent.close()
      },
    }
    const { port } = silent.address() as { port: number }
    const others = [{ name: 'other' as never, endpoint: `http://127.0.0.1:${port}` }]
    await using rig = await startElsewhere(answer(202), { others, beginTimeoutMs: 100 })
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(202)
    expect([rig.failed, rig.took]).toEqual([['other'], ['hub']])
    rig.living.pop()
    const begun = await rig.ask(UPLOADS, { method: 'POST' })
    expect(begun.status).toBe(503)
    expect((await errorOf(begun)).message).toContain('other: no answer within 100 ms')
  })

  test('an answer before the body is in leaves the connection usable, or closes it', async () => {
    await using rig = await startElsewhere((_, outgoing) => {
      outgoing.writeHead(401, { 'content-length': '0' }).end()
    })
    const socket = connect(rig.port, '127.0.0.1')
    let text = ''
    let isClosed = false
    socket.on('data', (chunk) => {
      text += String(chunk)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      isClosed = true
    })
    const size = 8_000_000
    socket.write(`PATCH ${UPLOADS}7f HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n\r\n`)
    socket.write(new Uint8Array(100_000))
    await eventually(() => text.includes('401'))
    socket.write(new Uint8Array(size - 100_000))
    socket.write('GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n')
    await eventually(() => isClosed || text.includes('HTTP/1.1 200'))
    socket.destroy()
  })

  test('a link whose bandwidth is 0 now is no way to a writer, and a push that it cuts says why', async () => {
    let bits: number | undefined = 0
    const limit = {
      at: () => bits,
      changesAt: () => Number.POSITIVE_INFINITY,
      opensAt: () => Date.UTC(2030, 0),
    }
    const image = makeImage('kept')
    await using rig = await startElsewhere(answer(202), { limit, anonymous: 'push' })
    await rig.bring('v1', image)
    const begun = await rig.ask(UPLOADS, { method: 'POST' })
    expect(begun.status).toBe(503)
    const why = 'link from edge is closed until 2030-01-01T00:00:00.000Z'
    expect((await errorOf(begun)).message).toContain(`hub: ${why}`)
    expect(rig.requests).toEqual([])
    expect((await rig.ask('/v2/team/app/manifests/v1')).status).toBe(200)
    bits = 800_000_000
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(202)
    async function* body() {
      yield new Uint8Array(300_000)
      await eventually(() => rig.requests.length === 2)
      bits = 0
      yield new Uint8Array(300_000)
    }
    const sent = { method: 'PATCH', body: ReadableStream.from(body()), duplex: 'half' } as const
    const got = await rig.ask(`${UPLOADS}7f`, sent)
    expect(got.status).toBe(502)
    expect((await errorOf(got)).message).toContain(`hub broke off (${why}`)
  })

  test('a body goes no faster than the link to the writer may carry', async () => {
    // Twenty times what a tenth of a second brings, so that no bucket hides it.
    const limit = { at: () => 8_000_000, changesAt: () => Infinity, opensAt: (ms: number) => ms }
    await using rig = await startElsewhere(answer(202), { limit })
    const began = performance.now()
    const body = new Uint8Array(2_000_000)
    expect((await rig.ask(`${UPLOADS}7f`, { method: 'PATCH', body })).status).toBe(202)
    expect(performance.now() - began).toBeGreaterThan(1_500)
  })

  test('a writer that does not read holds back the client, and all arrives once it does', async () => {
    const arrived: IncomingMessage[] = []
    await using rig = await startElsewhere((incoming) => void arrived.push(incoming))
    let offered = 0
    async function* body() {
      for (; offered < LARGE; offered += MIB) yield new Uint8Array(MIB)
    }
    const sent = { method: 'PATCH', body: ReadableStream.from(body()), duplex: 'half' } as const
    const asked = rig.ask(`${UPLOADS}7f`, sent)
    await eventually(standsStill(() => offered))
    expect(offered).toBeLessThan(LARGE / 2)
    let got = 0
    const [incoming] = arrived
    incoming?.on('data', (chunk: Buffer) => {
      got += chunk.length
    })
    await eventually(() => got === LARGE)
    const outgoing = rig.answers[0]
    outgoing?.writeHead(202).end()
    expect((await asked).status).toBe(202)
  })

  test('a client that does not read holds back the writer, and all arrives once it does', async () => {
    let offered = 0
    await using rig = await startElsewhere((_, outgoing) => {
      outgoing.writeHead(201)
      const more = () => {
        while (offered < LARGE && outgoing.write(new Uint8Array(MIB))) offered += MIB
        if (offered >= LARGE) outgoing.end()
        else offered += MIB
      }
      outgoing.on('drain', more)
      more()
    })
    const socket = connect({ port: rig.port, host: '127.0.0.1' })
    socket.write(`PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`)
    await eventually(standsStill(() => offered))
    expect(offered).toBeLessThan(LARGE / 2)
    let got = 0
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length
    })
    await eventually(() => got >= LARGE)
    socket.destroy()
  })

  test('reads do not make a redirect last', async () => {
    await using rig = await startElsewhere(answer(200), { way: 'redirect' })
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(307)
    expect((await rig.ask('/v2/team/app/manifests/v2')).status).toBe(307)
    expect(rig.took).toEqual(['hub'])
  })
})
