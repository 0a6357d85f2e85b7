import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { MAX_MANIFEST_BYTES } from '../../../src/oci/manifest.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createRegistryClient } from '../../../src/transfer/registry-client.ts'
import { bytesOf, makeBlob, makeImage } from '../../helpers/images.ts'
import { repo } from '../../helpers/writers.ts'

const REPO = repo('team/app')
const HUB = 'hub' as NodeName
const BLOB = makeBlob(bytesOf('layer', 100_000))
const image = makeImage('image')
const { signal } = new AbortController()

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function serve(handler: Handler) {
  const requests: IncomingMessage[] = []
  const server: Server = createServer((request, response) => {
    requests.push(request)
    handler(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const endpoint = `http://127.0.0.1:${port}`
  const client = createRegistryClient({
    connect: (node) => (node === HUB ? { endpoint, token: 'a-token' } : undefined),
  })
  return {
    client,
    requests,
    blob: (offset: number, { from = HUB, ...part }: { from?: NodeName; end?: number } = {}) =>
      client.blob(from, REPO, BLOB.digest, { offset, signal, ...part }),
    manifest: (from = HUB) => client.manifest(from, REPO, image.digest, { signal }),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function read(answer: Awaited<ReturnType<Awaited<ReturnType<typeof serve>>['blob']>>) {
  if (answer.kind !== 'blob') throw new Error(`expected a blob, got ${JSON.stringify(answer)}`)
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Answers ranges as a registry does. */
const ranges: Handler = (request, response) => {
  const [, from, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  if (from === undefined) {
    response.writeHead(200).end(BLOB.bytes)
    return
  }
  const size = BLOB.bytes.length
  const [start, end] = [Number(from), last ? Number(last) + 1 : size]
  response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${size}` })
  response.end(BLOB.bytes.subarray(start, end))
}

describe('transfer / registry-client', () => {
  test('a blob is asked for by repository and digest, with the token, and comes whole', async () => {
    await using server = await serve(ranges)
    const answer = await server.blob(0)
    expect(answer).toMatchObject({ kind: 'blob', offset: 0 })
    expect(Buffer.compare(await read(answer), BLOB.bytes)).toBe(0)
    const [request] = server.requests
    expect(request?.url).toBe(`/v2/team/app/blobs/${BLOB.digest}`)
    expect(request?.headers.authorization).toBe('Bearer a-token')
    expect(request?.headers.range).toBeUndefined()
  })

  test('from a byte on only the rest is asked for', async () => {
    await using server = await serve(ranges)
    const answer = await server.blob(70_000)
    expect(answer).toMatchObject({ kind: 'blob', offset: 70_000 })
    expect(Buffer.compare(await read(answer), BLOB.bytes.subarray(70_000))).toBe(0)
    expect(server.requests[0]?.headers.range).toBe('bytes=70000-')
  })

  test('of a part that ends early no more is asked for', async () => {
    await using server = await serve(ranges)
    const answer = await server.blob(0, { end: 30_000 })
    expect(answer).toMatchObject({ kind: 'blob', offset: 0 })
    expect(Buffer.compare(await read(answer), BLOB.bytes.subarray(0, 30_000))).toBe(0)
    const middle = await server.blob(30_000, { end: 70_000 })
    expect(Buffer.compare(await read(middle), BLOB.bytes.subarray(30_000, 70_000))).toBe(0)
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      'bytes=0-29999',
      'bytes=30000-69999',
    ])
  })

  test('a holder that knows no ranges says so by where its body begins', async () => {
    await using server = await serve((_, response) => void response.writeHead(200).end(BLOB.bytes))
    const answer = await server.blob(70_000)
    expect(answer).toMatchObject({ kind: 'blob', offset: 0 })
    expect(await read(answer)).toHaveLength(BLOB.bytes.length)
  })

  test.each([
    ['another range than was asked for', 'bytes 5-9/100000'],
    ['a range that is none', 'bytes */100000'],
    ['no range at all', undefined],
  ])('an answer with %s is no answer', async (_, range) => {
    await using server = await serve((_request, response) => {
      response.writeHead(206, range === undefined ? {} : { 'content-range': range })
      response.end(BLOB.bytes)
    })
    expect(await server.blob(70_000)).toMatchObject({ kind: 'unreachable' })
  })

  test.each([401, 403, 416, 429, 500, 503, 301, 204])(
    'status %i is not reached, and says which',
    async (status) => {
      await using server = await serve((_, response) => {
        response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end()
      })
      for (const answer of [await server.blob(5), await server.manifest()]) {
        expect(answer).toMatchObject({
          kind: 'unreachable',
          reason: expect.stringContaining(`${status}`),
        })
      }
    },
  )

  test('404 is absent', async () => {
    await using server = await serve((_, response) => void response.writeHead(404).end('{}'))
    expect([await server.blob(0), await server.manifest()]).toEqual([
      { kind: 'absent' },
      { kind: 'absent' },
    ])
  })

  test('a manifest comes with its type, and every type is accepted', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': image.mediaType }).end(image.bytes)
    })
    const answer = await server.manifest()
    expect(answer).toMatchObject({ kind: 'manifest', mediaType: image.mediaType })
    expect(answer.kind === 'manifest' && Buffer.compare(answer.bytes, image.bytes)).toBe(0)
    const [request] = server.requests
    expect(request?.url).toBe(`/v2/team/app/manifests/${image.digest}`)
    expect(request?.headers.accept?.split(', ')).toHaveLength(4)
  })

  test('a manifest without type has none', async () => {
    await using server = await serve((_, response) => void response.writeHead(200).end(image.bytes))
    expect(await server.manifest()).toMatchObject({ kind: 'manifest', mediaType: undefined })
  })

  test('a manifest beyond the bound is not read to its end', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    expect(await server.manifest()).toEqual({
      kind: 'unreachable',
      reason: `manifest is larger than ${MAX_MANIFEST_BYTES} bytes`,
    })
  })

  test('a body that is cut throws where it is read; a manifest that is cut is not reached', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': BLOB.bytes.length })
      response.write(BLOB.bytes.subarray(0, 1_000), () => response.destroy())
    })
    const answer = await server.blob(0)
    await expect(read(answer)).rejects.toThrow()
    expect(await server.manifest()).toMatchObject({ kind: 'unreachable' })
  })

  test('a node that is not connected is not asked, and one that refuses is not reached', async () => {
    await using server = await serve(ranges)
    expect(await server.blob(0, { from: 'nobody' as NodeName })).toEqual({
      kind: 'unreachable',
      reason: 'not connected',
    })
    expect(server.requests).toEqual([])
    await using refusing = createRegistryClient({
      connect: () => ({ endpoint: 'http://127.0.0.1:1' }),
    })
    expect(await refusing.manifest(HUB, REPO, image.digest, { signal })).toMatchObject({
      kind: 'unreachable',
    })
  })

  test('an abort throws its reason, before the answer and in the middle of it', async () => {
    const arrived = Promise.withResolvers<void>()
    await using server = await serve((request, response) => {
      if (request.url?.includes('/manifests/')) {
        arrived.resolve()
        return
      }
      response.writeHead(200)
      response.write(BLOB.bytes.subarray(0, 1_000))
    })
    const before = new AbortController()
    const silent = server.client.manifest(HUB, REPO, image.digest, { signal: before.signal })
    await arrived.promise
    before.abort(new Error('cancelled'))
    await expect(silent).rejects.toThrow('cancelled')

    const middle = new AbortController()
    const options = { offset: 0, signal: middle.signal }
    const reading = read(await server.client.blob(HUB, REPO, BLOB.digest, options))
    middle.abort(new Error('cancelled'))
    await expect(reading).rejects.toThrow('cancelled')
    const late = server.client.blob(HUB, REPO, BLOB.digest, options)
    await expect(late).rejects.toThrow('cancelled')
  })
})
