/** Attacks that have names, one by one: what each gets for an answer, and that nothing of it stays. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { eventually } from '../helpers/eventually.ts'
import { DOCKER_MANIFEST, makeImage, OCI_MANIFEST } from '../helpers/images.ts'
import { exchange, type RawAnswer, type RawOptions } from '../helpers/raw-http.ts'
import { comparePull, pushBlob, pushImage } from '../helpers/registry-calls.ts'
import { CANARY, type HostileNode, startHostileNode } from './hostile-node.ts'
import { KNOWN } from './hostile-requests.ts'

const HEX = 'b'.repeat(64)
const BLOB = `/v2/team/app/blobs/${KNOWN.digest}`
const BOUNDS = [
  'header-timeout=1000',
  'idle-timeout=1500',
  'stall-timeout=1000',
  'stall-bytes=1000',
]

let hostile: HostileNode
let before: readonly string[]

beforeAll(async () => {
  hostile = await startHostileNode(BOUNDS)
  before = await hostile.outside()
  await pushBlob(hostile.node.url, 'team/app', KNOWN)
  await pushImage(hostile.node.url, 'team/app', 'v1', makeImage('attacked'))
})
afterAll(async () => {
  try {
    expect(await hostile.outside()).toEqual(before)
    expect(await hostile.oddNames()).toEqual([])
    expect(hostile.node.log()).not.toMatch(/unhandled|request failed/i)
    await comparePull(hostile.node.url, 'team/app', 'v1', makeImage('attacked'))
  } finally {
    await hostile[Symbol.asyncDispose]()
  }
})

/** A well-formed request but for what is given. */
function bytesOf(line: string, headers: readonly string[] = [], body = ''): string {
  const hasLength = headers.some((one) => /^(?:content-length|transfer-encoding) *:/i.test(one))
  const length = hasLength ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const head = [`${line} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, ...length]
  return `${head.map((one) => `${one}\r\n`).join('')}\r\n${body}`
}

async function send(
  line: string,
  headers: readonly string[] = [],
  body = '',
  options: RawOptions = {},
): Promise<RawAnswer> {
  const answer = await exchange(hostile.port, [bytesOf(line, headers, body)], options)
  expect(answer.text).not.toContain(CANARY)
  expect(answer.text).not.toContain('PRIVATE KEY')
  return answer
}

/** Code of the first error. */
function codeOf({ body }: RawAnswer): string | undefined {
  return /"code":"([A-Z_]+)"/.exec(body)?.[1]
}

describe('names that climb, or mean another', () => {
  test.each([
    ['../../../entrepot/identity.key/manifests/v1', 400],
    ['team/../../../canary.txt/manifests/v1', 400],
    ['%2e%2e/%2e%2e/entrepot/manifests/v1', 400],
    ['%2e%2e%2f%2e%2e%2fcanary.txt/manifests/v1', 400],
    ['..%5c..%5ccanary.txt/manifests/v1', 400],
    ['%252e%252e%252f/manifests/v1', 400],
    ['..\\..\\canary.txt/manifests/v1', 400],
    ['%c0%ae%c0%ae/manifests/v1', 400],
    ['team/app%00/manifests/v1', 400],
    ['team//app/manifests/v1', 400],
    ['team/app./manifests/v1', 400],
    ['team/app/manifests/..', 400],
    ['team/app/manifests/..%2f..%2fcanary.txt', 404],
    ['TEAM/APP/manifests/v1', 400],
    ['Team/app/manifests/v1', 400],
    ['team/app/manifests/V1', 404],
    ['team%2Fapp/manifests/v1', 200],
    [`${'a'.repeat(255)}/manifests/v1`, 404],
    [`${'a'.repeat(256)}/manifests/v1`, 400],
    [`team/app/manifests/${'t'.repeat(128)}`, 404],
    [`team/app/manifests/${'t'.repeat(129)}`, 404],
    [`team/app/blobs/sha256:${HEX.toUpperCase()}`, 400],
    [`team/app/blobs/sha256:${HEX.slice(1)}`, 400],
    [`team/app/blobs/sha256:${HEX}b`, 400],
    [`team/app/blobs/sha512:${HEX}`, 400],
    ['team/app/blobs/sha256:..%2f..%2f..%2f..%2fcanary.txt', 400],
    ['team/app/blobs/uploads/..%2f..%2fidentity.key', 404],
    ['_catalog?n=1e9', 200],
    ['_catalog?n=-1', 400],
    ['_catalog?last=%00', 200],
    ['team/app/tags/list?last=%00&n=1', 200],
    ['team/app/tags/list?last=%ff', 200],
  ])('GET /v2/%s', async (path, status) => {
    const answer = await send(`GET /v2/${path}`)
    expect(answer.status).toBe(status)
    if (status >= 400) expect(codeOf(answer)).toMatch(/^[A-Z_]+$/)
  })

  test.each([
    '/v2/../api/v1/status',
    '/v2/%2e%2e/api/v1/status',
    '/v2/%2E./api/v1/status',
    'http://x/v2/../healthz',
  ])('%s is no way around a proxy that passes only /v2/', async (path) => {
    expect((await send(`GET ${path}`)).status).toBe(400)
  })

  test.each(['TEAM/app', 'team/../app', 'a'.repeat(256), 'team//app', '_layers'])(
    'a push to %s creates nothing',
    async (name) => {
      expect((await send(`POST /v2/${name}/blobs/uploads/`)).status).toBe(400)
    },
  )
})

describe('ranges and conditions', () => {
  const size = KNOWN.bytes.length
  test.each([
    ['Range: bytes=0-0,5-6', 200, size],
    ['Range: bytes=-0', 416, undefined],
    ['Range: bytes=9999999999999999999-', 416, undefined],
    ['Range: bytes=0-9999999999999999999999', 206, size],
    ['Range: bytes=-9999999999999999999999', 206, size],
    ['Range: bytes=5-1', 416, undefined],
    ['Range: lines=0-1', 200, size],
    ['Range: bytes=0-0', 206, 1],
    [`If-None-Match: "x", W/"${KNOWN.digest}",,`, 304, undefined],
    ['If-None-Match: *', 304, undefined],
    ['If-None-Match: ,,,', 200, size],
    [`If-None-Match: ${KNOWN.digest}`, 200, size],
  ])('%s', async (header, status, length) => {
    const answer = await send(`GET ${BLOB}`, [header])
    expect(answer.status).toBe(status)
    if (length !== undefined) expect(answer.body).toHaveLength(length)
  })
})

describe('lengths that lie', () => {
  const upload = 'POST /v2/team/app/blobs/uploads/'

  test.each([
    ['both lengths', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
    ['two lengths', ['Content-Length: 4', 'Content-Length: 5']],
    ['a list of lengths', ['Content-Length: 4, 4']],
    ['an encoding after chunked', ['Transfer-Encoding: chunked, identity']],
    ['an unknown encoding', ['Transfer-Encoding: xchunked']],
    ['a space before the colon', ['Transfer-Encoding : chunked']],
    ['a length below zero', ['Content-Length: -1']],
    ['a length in hex', ['Content-Length: 0x4']],
    ['a length past every integer', ['Content-Length: 99999999999999999999']],
  ])('%s: the connection ends, and nothing after it is a request', async (_, headers) => {
    const body = '0\r\n\r\nDELETE /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n'
    const answer = await send(upload, headers, body, { untilClosed: true })
    expect(answer.status).toBe(400)
    expect(answer.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })

  test('an upload shorter than its length is cut after a while; what came stays and can be gone on with', async () => {
    const begun = await send(upload)
    const location = begun.headers.get('location') ?? ''
    await send(`PATCH ${location}`, ['Content-Length: 1000'], 'half', { untilClosed: true })
    // The node has still to notice that the connection is gone.
    await eventually(async () => {
      const { status, headers } = await send(`GET ${location}`)
      expect(status).toBe(204)
      return headers.get('range') === '0-3'
    })
    await eventually(async () => (await send(`PATCH ${location}`)).status === 202)
    const overlap = await send(`PATCH ${location}`, ['Content-Range: 2-5'], 'lfof')
    expect(overlap.status).toBe(416)
    const wrong = await send(`PATCH ${location}`, ['Content-Range: 4-9'], 'of')
    expect(wrong.status).toBe(416)
    const rest = await send(`PATCH ${location}`, ['Content-Range: 4-5'], 'of')
    expect(rest.status).toBe(202)
    const digest = digestOf(Buffer.from('halfof'))
    expect((await send(`PUT ${location}?digest=${digest}`)).status).toBe(201)
  })

  test('requests in a row on one connection are answered in their order', async () => {
    const two = [`GET ${BLOB}`, 'GET /v2/team/app/tags/list'].map((line) => bytesOf(line)).join('')
    const answer = await exchange(hostile.port, [two], { untilClosed: true })
    expect(answer.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
    expect(answer.text.indexOf(Buffer.from(KNOWN.bytes).toString())).toBeLessThan(
      answer.text.indexOf('"tags"'),
    )
  })

  test('Expect: 100-continue is answered, and any other expectation refused', async () => {
    const digest = digestOf(Buffer.from('asked first'))
    const answer = await send(`${upload}?digest=${digest}`, ['Expect: 100-continue'], 'asked first')
    expect(answer.text).toMatch(/^HTTP\/1\.1 100 Continue/)
    expect(answer.status).toBe(201)
    expect((await send(upload, ['Expect: cake'])).status).toBe(417)
  })
})

describe('slow senders', () => {
  test('headers that do not end are cut', async () => {
    const drips = Array.from({ length: 60 }, (_, at) => `X-${at}: y\r\n`)
    const parts = ['GET /v2/ HTTP/1.1\r\nHost: x\r\n', ...drips]
    const answer = await exchange(hostile.port, parts, { pauseMs: 100, untilClosed: true })
    expect(answer.status).toBe(408)
    expect(answer.sent).toBeLessThan(parts.length)
  })

  test('a body that trickles is cut', async () => {
    const begun = await send('POST /v2/team/app/blobs/uploads/')
    const head = bytesOf(`PATCH ${begun.headers.get('location')}`, ['Content-Length: 1000000'])
    const parts = [head, ...Array.from({ length: 60 }, () => 'x')]
    const answer = await exchange(hostile.port, parts, { pauseMs: 100, untilClosed: true })
    expect(answer.status).toBeUndefined()
    expect(answer.sent).toBeLessThan(parts.length)
  })

  test('a body that is slow, but moves, is taken', async () => {
    const piece = 'x'.repeat(2_000)
    const digest = digestOf(Buffer.from(piece.repeat(15)))
    const head = bytesOf(`POST /v2/team/app/blobs/uploads/?digest=${digest}`, [
      `Content-Length: ${piece.length * 15}`,
    ])
    const parts = [head, ...Array.from({ length: 15 }, () => piece)]
    const answer = await exchange(hostile.port, parts, { pauseMs: 200 })
    expect(answer.status).toBe(201)
  })

  test('a connection that says nothing is closed', async () => {
    expect((await exchange(hostile.port, [''], { untilClosed: true })).isClosed).toBe(true)
  })

  test('headers that are too large are refused', async () => {
    const headers = Array.from({ length: 40 }, (_, at) => `X-${at}: ${'x'.repeat(1_000)}`)
    expect((await send('GET /v2/', headers)).status).toBe(431)
  })
})

describe('manifests that mean harm', () => {
  const config = { mediaType: 'x', digest: KNOWN.digest, size: KNOWN.bytes.length }
  const of = (more: object) => JSON.stringify({ schemaVersion: 2, config, layers: [], ...more })
  const unknown = { mediaType: 'x', digest: `sha256:${HEX}`, size: 1 }
  const strangers = (count: number) =>
    Array.from({ length: count }, (_, at) => ({
      ...unknown,
      digest: digestOf(Buffer.from(`${at}`)),
    }))
  const good = of({})

  test.each([
    ['nothing', '', 400],
    ['nested deeply', '['.repeat(4_000_000), 400],
    [
      'nested deeply in an unknown field',
      `${good.slice(0, -1)},"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      201,
    ],
    ['larger than the bound', ' '.repeat(4 * 1024 * 1024 + 1), 413],
    [
      'an annotation that overflows the record',
      of({ annotations: { a: 'x'.repeat(3_000_000) } }),
      201,
    ],
    ['__proto__', `${good.slice(0, -1)},"__proto__":{"layers":[1]}}`, 201],
    ['__proto__ as annotation', `${good.slice(0, -1)},"annotations":{"__proto__":"x"}}`, 201],
    ['a key twice', `${good.slice(0, -1)},"schemaVersion":1}`, 400],
    ['a size past every integer', of({ layers: [{ ...config, size: 1e300 }] }), 400],
    ['a negative size', of({ layers: [{ ...config, size: -1 }] }), 400],
    ['a size that lies', of({ layers: [{ ...config, size: 7 }] }), 400],
    ['a fraction of a byte', of({ layers: [{ ...config, size: 0.5 }] }), 400],
    ['30,000 unknown layers', of({ layers: strangers(30_000) }), 404],
    [
      '25,000 times the same layer',
      of({ layers: Array.from({ length: 25_000 }, () => config) }),
      201,
    ],
    [
      'a digest that climbs',
      of({ layers: [{ ...config, digest: 'sha256:../../canary.txt' }] }),
      400,
    ],
    ['an image and an index at once', of({ manifests: [] }), 400],
    ['a lone surrogate', of({ annotations: { a: '\ud800' } }), 201],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), 400],
    ['a byte order mark', `\ufeff${good}`, 201],
  ])('%s', async (title, text, status) => {
    const tag = `t-${title.replace(/[^a-zA-Z0-9]/g, '-')}`
    const latin = title === 'no UTF-8' ? text : Buffer.from(text).toString('latin1')
    const head = bytesOf(`PUT /v2/team/app/manifests/${tag}`, [
      `Content-Type: ${OCI_MANIFEST}`,
      `Content-Length: ${latin.length}`,
    ])
    const answer = await exchange(hostile.port, [head, latin])
    expect([answer.status, answer.body.slice(0, 200)]).toEqual([status, expect.anything()])
    if (status >= 400) expect(codeOf(answer)).toMatch(/^(?:MANIFEST|SIZE)_/)
    // What was taken is served byte for byte, with the list that shows it.
    const got = await send(`GET /v2/team/app/manifests/${tag}`)
    expect(got.status).toBe(status === 201 ? 200 : 404)
    if (status === 201) expect(got.body).toBe(latin)
  })

  test('a manifest cannot name itself: its digest would have to be in it', async () => {
    const text = JSON.stringify({ schemaVersion: 2, manifests: [{ ...unknown, size: 100 }] })
    const type = ['Content-Type: application/vnd.oci.image.index.v1+json']
    const answer = await send(`PUT /v2/team/app/manifests/sha256:${HEX}`, type, text)
    expect([answer.status, codeOf(answer)]).toEqual([400, 'DIGEST_INVALID'])
  })

  test('a manifest whose subject is itself by tag, and a chain of subjects, are listed without a loop', async () => {
    let subject = { mediaType: OCI_MANIFEST, digest: `sha256:${HEX}`, size: 1 }
    for (let at = 0; at < 20; at += 1) {
      const text = of({ subject, annotations: { at: String(at) } })
      const answer = await send(
        `PUT /v2/team/app/manifests/chain-${at}`,
        [`Content-Type: ${OCI_MANIFEST}`],
        text,
      )
      expect(answer.status).toBe(201)
      const list = await send(`GET /v2/team/app/referrers/${subject.digest}`)
      expect(list.status).toBe(200)
      subject = { ...subject, digest: answer.headers.get('docker-content-digest') ?? '' }
    }
  })

  test('a type that the document denies is refused', async () => {
    const text = of({ mediaType: DOCKER_MANIFEST })
    const answer = await send(
      'PUT /v2/team/app/manifests/x',
      [`Content-Type: ${OCI_MANIFEST}`],
      text,
    )
    expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
  })
})
