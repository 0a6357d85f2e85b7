import { once } from 'node:events'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../helpers/eventually.ts'
import { makeImage } from '../../helpers/images.ts'
import { answer, dead, OTHER, startElsewhere, UPLOADS } from './elsewhere-rig.ts'
import { EDGE, errorOf, startRegistry } from './registry-rig.ts'

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await incoming.toArray())
}

describe('registry / elsewhere, proxied', () => {
  test('a request goes on with its body, query and credentials, without what belongs to the connection', async () => {
    const bodies: Promise<Buffer>[] = []
    await using rig = await startElsewhere((incoming, outgoing) => {
      bodies.push(bodyOf(incoming))
      incoming.once('end', () => outgoing.writeHead(202).end())
    })
    const sent = request(`${rig.url}${UPLOADS}7f?digest=sha256:0&ns=${new URL(rig.url).host}`, {
      method: 'PATCH',
      headers: {
        authorization: 'Basic c29tZWJvZHk6c2VjcmV0',
        connection: 'keep-alive, x-mine',
        'content-length': '5',
        'content-range': '0-4',
        'content-type': 'application/octet-stream',
        te: 'trailers',
        'x-mine': 'of this connection',
        'x-entrepot-caller': '10.9.9.9',
        'x-forwarded-for': '192.0.2.7',
        'x-forwarded-proto': 'https',
      },
    })
    sent.end('hello')
    const [got] = (await once(sent, 'response')) as [IncomingMessage]
    got.resume()
    expect(got.statusCode).toBe(202)
    const [incoming] = rig.requests
    expect(incoming?.method).toBe('PATCH')
    expect(incoming?.url).toBe(`${UPLOADS}7f?digest=sha256%3A0`)
    expect(String(await bodies[0])).toBe('hello')
    const { host, connection: _, ...headers } = incoming?.headers ?? {}
    expect(host).toBe(new URL(rig.endpoint).host)
    expect(headers).toEqual({
      authorization: 'Basic c29tZWJvZHk6c2VjcmV0',
      'content-length': '5',
      'content-range': '0-4',
      'content-type': 'application/octet-stream',
      'x-forwarded-for': '192.0.2.7, 127.0.0.1',
      'x-forwarded-proto': 'https, http',
      'x-entrepot-passed-by': 'edge',
    })
  })

  test('the answer comes back with its headers, and its Location is at this node', async () => {
    let location = ''
    await using rig = await startElsewhere((incoming, outgoing) =>
      answer(202, {
        location,
        range: '0-41',
        'docker-upload-uuid': '7f',
        'oci-chunk-min-length': '3',
        'keep-alive': 'timeout=9',
        connection: 'keep-alive, x-hop',
        'x-hop': 'gone',
      })(incoming, outgoing),
    )
    const relative = `${UPLOADS}7f?_state=a%2Fb`
    for (const [at, expected] of [
      [relative, relative],
      [`${rig.endpoint}${relative}`, relative],
      ['https://storage.example/elsewhere', 'https://storage.example/elsewhere'],
    ]) {
      location = at ?? ''
      const got = await rig.ask(UPLOADS, { method: 'POST' })
      expect(got.status).toBe(202)
      expect(got.headers.get('location')).toBe(expected)
      expect(got.headers.get('range')).toBe('0-41')
      expect(got.headers.get('docker-upload-uuid')).toBe('7f')
      expect(got.headers.get('oci-chunk-min-length')).toBe('3')
      expect(got.headers.get('x-hop')).toBeNull()
      expect(got.headers.get('keep-alive')).not.toBe('timeout=9')
    }
    expect(rig.took).toEqual(['hub', 'hub', 'hub'])
  })

  test('an error of the writer comes back as it is, before the body is in', async () => {
    const body = '{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}'
    await using rig = await startElsewhere((_, outgoing) => {
      const headers = { 'www-authenticate': 'Basic realm="hub"' }
      outgoing.writeHead(401, 'who are you?', headers).end(body)
    })
    const got = await rig.ask(`${UPLOADS}?digest=sha256:${'0'.repeat(64)}`, {
      method: 'POST',
      body: new Uint8Array(8_000_000),
    })
    expect([got.status, got.statusText, await got.text()]).toEqual([401, 'who are you?', body])
    expect(got.headers.get('www-authenticate')).toBe('Basic realm="hub"')
  })

  test.each([
    ['POST', UPLOADS],
    ['GET', `${UPLOADS}7f`],
    ['PATCH', `${UPLOADS}7f`],
    ['PUT', `${UPLOADS}7f`],
    ['DELETE', `${UPLOADS}7f`],
    ['PUT', '/v2/team/app/manifests/v1'],
    ['DELETE', '/v2/team/app/manifests/v1'],
    ['DELETE', `/v2/team/app/blobs/sha256:${'0'.repeat(64)}`],
  ])('%s %s goes on', async (method, path) => {
    await using rig = await startElsewhere(answer(200))
    expect((await rig.ask(path, { method })).status).toBe(200)
    expect(rig.requests.map(({ url }) => url)).toEqual([path])
  })

  test('what reads, and what is of other repositories, is answered here', async () => {
    await using rig = await startElsewhere(answer(200))
    expect((await rig.ask('/v2/')).status).toBe(200)
    expect((await rig.ask('/v2/team/app/tags/list')).status).toBe(404)
    expect((await rig.ask('/v2/team/app/manifests/v1', { method: 'HEAD' })).status).toBe(404)
    expect((await rig.ask('/v2/other/app/blobs/uploads/', { method: 'POST' })).status).toBe(401)
    expect(rig.requests).toEqual([])
  })

  test('a writer that is not reached before the first byte leaves the whole body to the next one', async () => {
    const bodies: Promise<Buffer>[] = []
    const others = [await dead()]
    await using rig = await startElsewhere(
      (incoming, outgoing) => {
        bodies.push(bodyOf(incoming))
        incoming.once('end', () => outgoing.writeHead(201).end())
      },
      { others },
    )
    const body = new Uint8Array(3_000_000).fill(7)
    expect((await rig.ask('/v2/team/app/manifests/v1', { method: 'PUT', body })).status).toBe(201)
    expect((await bodies[0])?.equals(body)).toBe(true)
    expect([rig.failed, rig.took]).toEqual([['other'], ['hub']])
  })

  test('when no writer is reached the client is told why, and where to push', async () => {
    await using rig = await startElsewhere(answer(200), { others: [await dead()] })
    rig.living.pop()
    const put = await rig.ask('/v2/team/app/manifests/v1', { method: 'PUT', body: 'x' })
    expect([put.status, put.headers.get('retry-after')]).toEqual([503, '5'])
    const { message } = await errorOf(put)
    // Clients show no body of a 503.
    expect(put.statusText).toBe(message)
    expect(message).toMatch(
      /^no writer of team\/app is reached from this node \(other: .*ECONNREFUSED.*\); try again, or push to hub \(http:\/\/hub.example:5000\)$/,
    )
    rig.took.push(OTHER)
    const patch = await rig.ask(`${UPLOADS}7f`, { method: 'PATCH', body: 'x' })
    expect(patch.status).toBe(503)
    expect((await errorOf(patch)).message).toContain('at which this upload began is not reached')
  })

  test('a client that breaks off ends the request at the writer', async () => {
    let ended: Promise<unknown> = Promise.resolve()
    await using rig = await startElsewhere((incoming) => {
      ended = new Promise((resolve) => incoming.once('close', resolve))
      incoming.on('error', () => {})
      incoming.resume()
    })
    const sent = request(`${rig.url}${UPLOADS}7f`, {
      method: 'PATCH',
      headers: { 'content-length': '1000000' },
    })
    sent.on('error', () => {})
    sent.write('a part')
    await eventually(() => rig.requests.length === 1)
    sent.destroy()
    await ended
    expect(rig.requests[0]?.complete).toBe(false)
    expect(rig.logged.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a writer that breaks off in the middle of a body is told as such, and no other is tried', async () => {
    await using rig = await startElsewhere((incoming) => {
      incoming.once('data', () => incoming.socket.destroy())
    })
    const got = await rig.ask(`${UPLOADS}7f`, { method: 'PATCH', body: new Uint8Array(5_000_000) })
    expect(got.status).toBe(502)
    expect((await errorOf(got)).message).toMatch(/^writer hub broke off \(.*\); push again$/)
    expect(rig.requests.length).toBe(1)
  })

  test('an answer that breaks off cuts the client, so that nobody takes it for whole', async () => {
    await using rig = await startElsewhere((incoming, outgoing) => {
      incoming.resume()
      outgoing.writeHead(200, { 'content-length': '1000' })
      outgoing.write('a part', () => incoming.socket.destroy())
    })
    const asked = rig.ask('/v2/team/app/manifests/v1', { method: 'PUT', body: 'x' })
    await expect(asked.then((got) => got.text())).rejects.toThrow()
  })

  test('what was passed on is not passed on again', async () => {
    await using rig = await startElsewhere(answer(200))
    const headers = { 'x-entrepot-passed-by': 'other' }
    const got = await rig.ask(UPLOADS, { method: 'POST', headers })
    expect(got.status).toBe(508)
    const { code, message } = await errorOf(got)
    expect(code).toBe('DENIED')
    expect(message).toContain('node other passed on a push to team/app to this node')
    expect(rig.requests).toEqual([])
  })

  test('more than may be passed on at once is told to come back; what has ended makes room', async () => {
    const waiting: ServerResponse[] = []
    await using rig = await startElsewhere(
      (incoming, outgoing) => {
        incoming.resume()
        waiting.push(outgoing)
      },
      { maxRequests: 1 },
    )
    const first = rig.ask(UPLOADS, { method: 'POST' })
    await eventually(() => waiting.length === 1)
    const second = await rig.ask(UPLOADS, { method: 'POST' })
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '5'])
    waiting[0]?.writeHead(202).end()
    expect((await first).status).toBe(202)
    await eventually(async () => {
      const third = rig.ask(UPLOADS, { method: 'POST' })
      await eventually(() => waiting.length === 2, { timeoutMs: 1_000 })
      waiting[1]?.writeHead(202).end()
      return (await third).status === 202
    })
  })

  test('credentials that nobody here gave out are judged by the writer, also of who reads and logs in', async () => {
    await using rig = await startElsewhere(answer(200, {}, 'judged'), { anonymous: 'none' })
    const headers = { authorization: 'Basic c29tZWJvZHk6c2VjcmV0' }
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['GET', '/v2/team/app/manifests/v1'],
      ['POST', UPLOADS],
    ] as const) {
      const got = await rig.ask(path, { method, headers })
      expect([got.status, await got.text()]).toEqual([200, 'judged'])
    }
    expect(rig.requests.map(({ url }) => url)).toEqual([
      '/v2/',
      '/v2/team/app/manifests/v1',
      UPLOADS,
    ])
    expect((await rig.ask('/v2/other/app/tags/list', { headers })).status).toBe(401)
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(401)
  })

  test("a node's token goes no further, and a node does not push through this one", async () => {
    await using rig = await startElsewhere(answer(200))
    const headers = { authorization: `Bearer ${rig.access.issueToken(EDGE)}` }
    const got = await rig.ask(UPLOADS, { method: 'POST', headers })
    expect([got.status, (await errorOf(got)).code]).toEqual([403, 'DENIED'])
    expect((await rig.ask('/v2/team/app/manifests/v1', { headers })).status).toBe(404)
    // One that it got before this node was restarted.
    const old = { authorization: 'Bearer an-older-one' }
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['GET', '/v2/team/app/manifests/v1'],
      ['POST', UPLOADS],
    ] as const) {
      expect((await rig.ask(path, { method, headers: old })).status).toBe(401)
    }
    expect(rig.requests).toEqual([])
  })

  test('what was pushed through this node is read at the writer until it has come back', async () => {
    const [old, fresh] = [makeImage('old'), makeImage('fresh')]
    const writer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
      const digest = { 'docker-content-digest': fresh.digest }
      answer(incoming.method === 'PUT' ? 201 : 200, digest)(incoming, outgoing)
    }
    await using rig = await startElsewhere(writer, { anonymous: 'push' })
    const head = async (path: string) => {
      const got = await rig.ask(`/v2/team/app/${path}`, { method: 'HEAD' })
      return [got.status, got.headers.get('docker-content-digest')]
    }
    const blob = `blobs/${fresh.blobs[0]?.digest}`
    expect(await head(blob)).toEqual([404, null])
    expect(await head('manifests/v1')).toEqual([404, null])
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(200)
    // docker looks at each layer that it has pushed.
    expect(await head(blob)).toEqual([200, fresh.digest])
    expect((await rig.putManifest('team/app', 'v1', fresh)).status).toBe(201)
    expect(await head('manifests/v1')).toEqual([200, fresh.digest])
    expect(await head(`manifests/${fresh.digest}`)).toEqual([200, fresh.digest])
    expect((await rig.ask('/v2/team/app/manifests/v1')).status).toBe(200)
    // Of the writer's other content this node shows nothing.
    expect(await head('manifests/v2')).toEqual([404, null])
    expect((await rig.ask(`/v2/team/app/${blob}`)).status).toBe(404)

    await rig.bring('v1', old)
    expect(await head('manifests/v1')).toEqual([200, fresh.digest])
    await rig.bring('v1', fresh)
    const asked = rig.requests.length
    expect(await head('manifests/v1')).toEqual([200, fresh.digest])
    expect(rig.requests.length).toBe(asked)
    await rig.bring('v1', old)
    await rig.clock.advance(301_000)
    expect(await head('manifests/v1')).toEqual([200, old.digest])
  })

  test('a layer that is here and not at the writer is pushed at the second try', async () => {
    const image = makeImage('collected there')
    await using rig = await startElsewhere(answer(404), { anonymous: 'push' })
    await rig.bring('v1', image)
    const path = `/v2/team/app/blobs/${image.blobs[0]?.digest}`
    expect((await rig.ask(path, { method: 'HEAD' })).status).toBe(200)
    expect((await rig.putManifest('team/app', 'v1', image)).status).toBe(404)
    expect((await rig.ask(path, { method: 'HEAD' })).status).toBe(404)
    // Who pulls is served on.
    expect((await rig.ask(path)).status).toBe(200)
  })

  test('when the writer of a push is not reached, this node says what it has itself', async () => {
    const [image, next] = [makeImage('kept'), makeImage('next')]
    const writer = answer(201, { 'docker-content-digest': next.digest })
    await using rig = await startElsewhere(writer, { anonymous: 'push' })
    await rig.bring('v1', image)
    expect((await rig.putManifest('team/app', 'v1', next)).status).toBe(201)
    expect((await rig.putManifest('team/app', 'v2', next)).status).toBe(201)
    rig.living.splice(0, 1, await dead())
    rig.took.push(OTHER)
    const path = `/v2/team/app/blobs/${image.blobs[0]?.digest}`
    expect((await rig.ask(path, { method: 'HEAD' })).status).toBe(200)
    const shown = await rig.ask('/v2/team/app/manifests/v1')
    expect(shown.headers.get('docker-content-digest')).toBe(image.digest)
    expect((await rig.ask('/v2/team/app/manifests/v2')).status).toBe(404)
    expect(rig.failed).toEqual(['other', 'other', 'other'])
  })
})

describe('registry / elsewhere, redirected', () => {
  const redirected = { way: 'redirect' } as const

  test('a push is sent to the same path at the writer, which is asked for a Location of its own', async () => {
    await using rig = await startElsewhere(answer(200), redirected)
    const host = new URL(rig.url).host
    const begun = await rig.ask(`${UPLOADS}?mount=x&from=y&ns=${host}`, { method: 'POST' })
    expect(begun.status).toBe(307)
    expect(begun.headers.get('location')).toBe(
      `${rig.endpoint}${UPLOADS}?mount=x&from=y&entrepot-location=absolute`,
    )
    const put = await rig.ask('/v2/team/app/manifests/v1', { method: 'PUT', body: 'x' })
    expect(put.headers.get('location')).toBe(`${rig.endpoint}/v2/team/app/manifests/v1`)
    expect(rig.requests).toEqual([])
    expect(rig.took).toEqual(['hub', 'hub'])
  })

  test('a writer names itself in the Location of an upload that it was sent', async () => {
    await using registry = await startRegistry()
    const begun = await registry.ask(`${UPLOADS}?entrepot-location=absolute`, { method: 'POST' })
    const location = begun.headers.get('location') ?? ''
    expect(location).toMatch(/^https:\/\/registry\.example:5000\/v2\/team\/app\/blobs\/uploads\//)
    const plain = await registry.ask(UPLOADS, { method: 'POST' })
    expect(plain.headers.get('location')).toMatch(/^\/v2\//)
  })

  test('who was sent here by another node is not sent on', async () => {
    await using rig = await startElsewhere(answer(200), redirected)
    const begun = await rig.ask(`${UPLOADS}?entrepot-location=absolute`, { method: 'POST' })
    expect(begun.status).toBe(508)
  })

  test('what is not here is asked of the writer once a push was sent there, what is here is served', async () => {
    const image = makeImage('here')
    await using rig = await startElsewhere(answer(200), { ...redirected, anonymous: 'push' })
    await rig.bring('v1', image)
    const statusOf = async (path: string) =>
      (await rig.ask(`/v2/team/app/${path}`, { method: 'HEAD' })).status
    const [here, absent] = [`blobs/${image.blobs[0]?.digest}`, `blobs/sha256:${'0'.repeat(64)}`]
    expect([await statusOf(here), await statusOf(absent)]).toEqual([200, 404])
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(307)
    expect([await statusOf(here), await statusOf(absent)]).toEqual([200, 307])
    expect(await statusOf('manifests/v2')).toBe(307)
  })

  test('without a writer that answers a push is put off', async () => {
    await using rig = await startElsewhere(answer(200), { ...redirected, isAnswering: false })
    const got = await rig.ask(UPLOADS, { method: 'POST' })
    expect([got.status, got.headers.get('retry-after')]).toEqual([503, '5'])
    expect((await errorOf(got)).message).toContain('push to hub (http://hub.example:5000)')
  })

  test('who may not read here is not told the way', async () => {
    await using rig = await startElsewhere(answer(200), { ...redirected, anonymous: 'none' })
    expect((await rig.ask(UPLOADS, { method: 'POST' })).status).toBe(401)
    const headers = { authorization: 'Basic c29tZWJvZHk6c2VjcmV0' }
    expect((await rig.ask(UPLOADS, { method: 'POST', headers })).status).toBe(307)
  })
})
