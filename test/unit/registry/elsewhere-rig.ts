/** A node that is no writer, and a writer that answers as it is told. */
import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../../src/lib/clock.ts'
import type { RepositoryName } from '../../../src/oci/name.ts'
import type { Writer } from '../../../src/peers/writer-choice.ts'
import type { Elsewhere } from '../../../src/registry/elsewhere.ts'
import { createPassedPushes } from '../../../src/registry/passed-pushes.ts'
import type { PairLimit } from '../../../src/topology/rates.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { createPushForwarder } from '../../../src/transfer/push-forwarder.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import type { TestManifest } from '../../helpers/images.ts'
import { NOWHERE } from '../../helpers/nowhere.ts'
import { repo } from '../../helpers/writers.ts'
import { EDGE, startRegistry } from './registry-rig.ts'

export const REPO = repo('team/app')
const HUB = 'hub' as NodeName
export const OTHER = 'other' as NodeName
export const UPLOADS = '/v2/team/app/blobs/uploads/'

/** A writer at a port where nobody listens: one that a server had. */
export async function dead(): Promise<Writer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return { name: OTHER, endpoint: `http://127.0.0.1:${port}` }
}

interface RigOptions {
  readonly way?: 'redirect' | 'proxy'
  readonly anonymous?: 'none' | 'pull' | 'push'
  /** Before the one that answers. */
  readonly others?: readonly Writer[]
  readonly isAnswering?: boolean
  readonly maxRequests?: number
  readonly beginTimeoutMs?: number
  /** Of what goes to any writer. */
  readonly limit?: PairLimit
}

export async function startElsewhere(answer: RequestListener, options: RigOptions = {}) {
  const {
    way = 'proxy',
    anonymous = 'pull',
    others = [],
    maxRequests = 10,
    beginTimeoutMs,
  } = options
  await using building = new AsyncDisposableStack()
  const requests: IncomingMessage[] = []
  const answers: ServerResponse[] = []
  const server = createServer((incoming, outgoing) => {
    requests.push(incoming)
    answers.push(outgoing)
    answer(incoming, outgoing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  building.defer(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const forwarder = createPushForwarder(
    {
      self: EDGE,
      fingerprints: () => undefined,
      greetAgain: async () => {},
      trust: () => undefined,
      limitTo: () => options.limit,
      clock: systemClock,
    },
    { maxRequests, scheme: 'http', ...(beginTimeoutMs === undefined ? {} : { beginTimeoutMs }) },
  )
  building.use(forwarder)
  const living: Writer[] = [...others, { name: HUB, endpoint }]
  const took: string[] = []
  const failed: string[] = []
  const clock = createFakeClock()
  let isPassing = true
  const elsewhere: Elsewhere = {
    ...NOWHERE,
    wayOf: (name: RepositoryName) => (isPassing && name === REPO ? way : undefined),
    judges: () => (way === 'proxy' ? living : []),
    namesOf: () => 'hub (http://hub.example:5000)',
    writers: {
      living: () => living,
      latest: () => living.find(({ name }) => name === took.at(-1)),
      took: (_, name) => void took.push(name),
      failed: (name) => void failed.push(name),
    },
    pushes: createPassedPushes({ clock }),
    isAnswering: async () => options.isAnswering ?? true,
    forward: forwarder.forward,
  }
  const registry = building.use(
    await startRegistry({ anonymous, edgeReads: ['team/app'], elsewhere }),
  )
  const parts = building.move()
  return {
    ...registry,
    elsewhere,
    endpoint,
    requests,
    answers,
    living,
    took,
    failed,
    clock,
    /** The mesh has brought it: as a push to this node alone. */
    bring: async (tag: string, image: TestManifest) => {
      isPassing = false
      for (const blob of image.blobs) await registry.pushBlob(REPO, blob)
      const put = await registry.putManifest(REPO, tag, image)
      isPassing = true
      if (put.status !== 201) throw new Error(await put.text())
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

export const answer =
  (status: number, headers: Record<string, string | readonly string[]> = {}, body = '') =>
  (incoming: IncomingMessage, outgoing: ServerResponse) => {
    incoming.resume()
    incoming.once('end', () => outgoing.writeHead(status, headers as never).end(body))
  }
