import { X509Certificate } from 'node:crypto'
import { createServer as createPlain } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { fingerprintOf, trusting } from '../../../src/lib/certificate.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createRegistryClient } from '../../../src/transfer/registry-client.ts'
import {
  type CertificateOptions,
  EXPIRED,
  makeAuthority,
  makeCertificate,
  type TestCertificate,
} from '../../helpers/certificates.ts'
import { settle } from '../../helpers/fake-clock.ts'
import { bytesOf, makeBlob } from '../../helpers/images.ts'
import { repo } from '../../helpers/writers.ts'

const REPO = repo('team/app')
const [HUB, EDGE] = ['hub', 'edge'] as NodeName[] as [NodeName, NodeName]
const BLOB = makeBlob(bytesOf('layer', 1_000))
const AUTHORITY = makeAuthority()
const OTHER = 'f'.repeat(64)
const { signal } = new AbortController()

const pinOf = ({ cert }: TestCertificate) => fingerprintOf(new X509Certificate(cert))

interface Rig extends AsyncDisposable {
  /** What the node announced last. */
  announced: readonly string[] | undefined
  /** What it answers when it is asked again. */
  answer: () => readonly string[] | undefined
  readonly asked: { times: number }
  /** Headers of the requests that came through. */
  readonly tokens: (string | undefined)[]
  serve(certificate: TestCertificate): void
  /** Ends the open connections. */
  cut(): void
  get(node?: NodeName): Promise<unknown>
}

async function setUp(certificate: TestCertificate): Promise<Rig> {
  const tokens: (string | undefined)[] = []
  const asked = { times: 0 }
  const server = createServer({ ...certificate }, (request, response) => {
    tokens.push(request.headers.authorization)
    response.writeHead(200).end(BLOB.bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const trust = trusting([AUTHORITY.cert])
  const client = createRegistryClient({
    connect: () => ({
      endpoint: `https://127.0.0.1:${port}`,
      token: 'a-token',
      fingerprints: rig.announced,
    }),
    greetAgain: async () => {
      asked.times += 1
      rig.announced = rig.answer()
    },
    trust: () => trust,
  })
  const rig: Rig = {
    announced: undefined,
    answer: () => rig.announced,
    asked,
    tokens,
    serve: (changed) => {
      server.setSecureContext(changed)
      server.closeAllConnections()
    },
    cut: () => server.closeAllConnections(),
    get: async (node = HUB) => {
      const answer = await client.blob(node, REPO, BLOB.digest, { offset: 0, signal })
      if (answer.kind === 'blob') for await (const _ of answer.body);
      return answer
    },
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return rig
}

const BAD: readonly (readonly [string, CertificateOptions, string])[] = [
  ['signed by itself', {}, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['for another name', { names: ['example.org'], authority: AUTHORITY }, 'ALTNAME_INVALID'],
  ['that has expired', { ...EXPIRED, authority: AUTHORITY }, 'CERT_HAS_EXPIRED'],
  [
    'of an unknown authority',
    { authority: makeAuthority('somebody') },
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ],
]

describe('transfer / registry-client over TLS', () => {
  test('a certificate of a known authority is accepted without an announced key', async () => {
    await using rig = await setUp(makeCertificate({ authority: AUTHORITY }))
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
    expect(rig.tokens).toEqual(['Bearer a-token'])
    expect(rig.asked.times).toBe(0)
  })

  test.each(BAD)('a certificate %s is accepted where its key was announced', async (_, options) => {
    const certificate = makeCertificate(options)
    await using rig = await setUp(certificate)
    rig.announced = [OTHER, pinOf(certificate)]
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
    expect(rig.asked.times).toBe(0)
  })

  test.each(BAD)(
    'a certificate %s is not reached, says why, and never gets the token',
    async (_, options, why) => {
      const certificate = makeCertificate(options)
      await using rig = await setUp(certificate)
      const answer = await rig.get()
      expect(answer).toMatchObject({ kind: 'unreachable' })
      const { reason } = answer as { readonly reason: string }
      expect(reason).toContain(why)
      expect(reason).toContain('node hub announced no key of its own')
      expect(reason).toContain(`key sha256:${pinOf(certificate)}`)
      expect(reason).toContain('--tls-ca')
      expect(rig.tokens).toEqual([])
    },
  )

  test('a key that is not the announced one is refused, and both are named', async () => {
    const certificate = makeCertificate()
    await using rig = await setUp(certificate)
    rig.announced = [OTHER]
    const answer = await rig.get()
    expect(answer).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining(`announced, sha256:${OTHER}`),
    })
    expect(JSON.stringify(answer)).toContain(pinOf(certificate))
    expect(rig.tokens).toEqual([])
  })

  test('a key that is newer than its announcement is accepted once the node has confirmed it', async () => {
    const [before, after] = [makeCertificate(), makeCertificate()]
    await using rig = await setUp(before)
    rig.announced = [pinOf(before)]
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
    rig.serve(after)
    rig.answer = () => [pinOf(after)]
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
    expect(rig.asked.times).toBe(1)
  })

  test('a key that changes between handshake and answer is looked at once more', async () => {
    const [first, second] = [makeCertificate(), makeCertificate()]
    await using rig = await setUp(first)
    rig.answer = () => {
      rig.serve(second)
      return [pinOf(second)]
    }
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
  })

  test('a renewed certificate with the same key needs no new announcement', async () => {
    const first = makeCertificate()
    await using rig = await setUp(first)
    rig.announced = [pinOf(first)]
    rig.serve(makeCertificate({ key: first.key, names: ['renewed'] }))
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
    expect(rig.asked.times).toBe(0)
  })

  test('a connection that was accepted as one node is not used as another', async () => {
    const certificate = makeCertificate()
    await using rig = await setUp(certificate)
    rig.announced = [pinOf(certificate)]
    expect(await rig.get(HUB)).toMatchObject({ kind: 'blob' })
    // Its connection is open and free, and the other node has the same address.
    await settle()
    rig.announced = [OTHER]
    expect(await rig.get(EDGE)).toMatchObject({ kind: 'unreachable' })
    expect(await rig.get(HUB)).toMatchObject({ kind: 'blob' })
  })

  test('a session is not resumed: whether the name fits would not be asked again', async () => {
    const certificate = makeCertificate({ names: ['example.org'], authority: AUTHORITY })
    await using rig = await setUp(certificate)
    rig.announced = [pinOf(certificate)]
    expect(await rig.get()).toMatchObject({ kind: 'blob' })
    rig.announced = [OTHER]
    rig.cut()
    expect(await rig.get()).toMatchObject({ kind: 'unreachable' })
  })

  test('a server that speaks no TLS is told apart', async () => {
    const server = createPlain((_, response) => response.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await using client = createRegistryClient({
      connect: () => ({ endpoint: `https://127.0.0.1:${port}` }),
    })
    expect(await client.blob(HUB, REPO, BLOB.digest, { offset: 0, signal })).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('does the node run with --tls-cert'),
    })
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
})
