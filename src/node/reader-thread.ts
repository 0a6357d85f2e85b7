/**
 * A thread that serves blobs by digest on the node's port, beside the main thread. It asks the main thread whether it
 * may; every other request goes there as it came.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { fingerprintOf } from '../lib/certificate.ts'
import { systemClock } from '../lib/clock.ts'
import { codeOf, messageOf } from '../lib/errors.ts'
import { createLogger } from '../lib/logger.ts'
import { type BlobSenderDeps, serveBlob } from '../registry/blob-routes.ts'
import { errorResponse } from '../registry/error-response.ts'
import { parsePath, type Target } from '../registry/path.ts'
import { headerOf, type NodeBindings } from '../registry/request.ts'
import { createForwarder } from './forward.ts'
import { listenHttp } from './http-server.ts'
import type {
  BlobAnswer,
  BlobAsk,
  FromReader,
  ReaderStart,
  TlsText,
  ToReader,
} from './reader-messages.ts'
import type { TlsFiles, TlsPair } from './tls-files.ts'

type BlobTarget = Extract<Target, { readonly kind: 'blob' }>

const port = parentPort
if (port === null) throw new Error('a reader runs in a thread of a node, it is no program')
const tell = (message: FromReader) => port.postMessage(message)
const start = workerData as ReaderStart

const logger = createLogger({ node: start.node, room: 'reader' }, { logLevel: start.logLevel })
const forwarder = createForwarder({ logger }, start)
/** By the number of the question. */
const waiting = new Map<number, (answer: BlobAnswer | undefined) => void>()
let asked = 0
const changes: ((pair: TlsPair) => void)[] = []
let pair = start.tls && toPair(start.tls)

function ask(blob: BlobAsk): Promise<BlobAnswer | undefined> {
  return new Promise((resolve) => {
    asked += 1
    waiting.set(asked, resolve)
    tell({ kind: 'ask', id: asked, blob })
  })
}

function toPair({ cert, key }: TlsText): TlsPair {
  const certificate = new X509Certificate(cert)
  return {
    cert: Buffer.from(cert),
    key: Buffer.from(key),
    certificate,
    fingerprint: fingerprintOf(certificate),
  }
}

/** The blob that a request is for; undefined for whatever the main thread should answer. */
function blobOf(method: string, url: string): BlobTarget | undefined {
  if (method !== 'GET' || !url.startsWith('/v2/') || url.includes('?')) return undefined
  try {
    const target = parsePath(url.slice('/v2/'.length), method)
    return target?.kind === 'blob' ? target : undefined
  } catch {
    return undefined
  }
}

const app = new Hono<{ Bindings: Required<NodeBindings> }>()
app.all('*', async ({ env: { incoming, outgoing } }) => {
  const { method = '', url = '', headers } = incoming
  const target = blobOf(method, url)
  const { authorization } = headers
  const address = incoming.socket.remoteAddress ?? ''
  const found = target && (await ask({ ...target, authorization, address }))
  if (target === undefined || found === undefined) {
    await forwarder.forward(incoming, outgoing)
    return RESPONSE_ALREADY_SENT
  }
  try {
    const header = (name: string) => headerOf(incoming, name)
    return await serveBlob(sender(found), { method, header, outgoing }, { ...target, ...found })
  } catch (err) {
    return errorResponse(err, logger)
  }
})

function sender({ path }: BlobAnswer): BlobSenderDeps {
  return {
    blobs: {
      pathOf: () => path,
      // Its file is there, so it is read by its path.
      read: async () => undefined,
      readAll: () =>
        readFile(path).catch((err: unknown) => {
          if (codeOf(err) === 'ENOENT') return undefined
          throw err
        }),
    },
    damage: {
      report: async (repository, digest, why) => tell({ kind: 'damaged', repository, digest, why }),
    },
    logger,
  }
}

const tls: TlsFiles | undefined = pair && {
  pair: () => pair as TlsPair,
  onChange: (listener) => void changes.push(listener),
  [Symbol.dispose]: () => {},
}

try {
  const http = await listenHttp(
    { app, clock: systemClock, logger, tls },
    { ...start.listen, bounds: start.bounds, sharing: 'other' },
  )
  port.on('message', (message: ToReader) => {
    if (message.kind === 'answer') {
      waiting.get(message.id)?.(message.blob)
      waiting.delete(message.id)
    } else if (message.kind === 'tls') {
      const changed = toPair(message.pair)
      pair = changed
      for (const listener of changes) listener(changed)
    } else {
      void http.drain().then(() => tell({ kind: 'drained' }))
    }
  })
  tell({ kind: 'listening' })
} catch (err) {
  tell({ kind: 'failed', reason: messageOf(err) })
}
