/**
 * Reader threads: with them one processor is not what limits a node. They listen on the node's own port, the system deals
 * connections out (SO_REUSEPORT), and each serves blobs by digest; the main thread alone knows the index and who may read.
 */
import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Hono } from 'hono'
import type { Clock } from '../lib/clock.ts'
import { EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger, LogLevel } from '../lib/logger.ts'
import type { DamageReports } from '../storage/damage.ts'
import type { Bounds } from './bounds.ts'
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

export interface ReaderPool extends AsyncDisposable {
  /** No new requests; resolves when those under way have ended. */
  drain(): Promise<void>
}

export interface ReaderPoolDeps {
  /** Answers what readers hand over. */
  readonly app: Pick<Hono<never>, 'fetch'>
  /** The file, where the caller may read it and it is whole; undefined = the app answers. */
  readonly permit: (ask: BlobAsk) => Promise<BlobAnswer | undefined>
  readonly damage: DamageReports
  readonly clock: Clock
  readonly logger: Logger
  readonly tls?: TlsFiles | undefined
}

export interface ReaderPoolOptions {
  readonly count: number
  /** Of this user alone (0700): who opens the socket in it says for whom it asks. */
  readonly directory: string
  readonly node: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly bounds: Bounds
  readonly logLevel: LogLevel
}

/** A reader that ended by a fault starts again after this, milliseconds: a fault at every start must not fill the log. */
const RESTART_MS = 1_000
/** Of a socket's path, everywhere (Linux takes 107, macOS 103). */
const MAX_SOCKET_PATH_BYTES = 103

/** @throws LISTEN_FAILED where the system cannot share a port */
export async function startReaders(
  deps: ReaderPoolDeps,
  { count, directory, ...options }: ReaderPoolOptions,
): Promise<ReaderPool> {
  const { app, clock, logger, tls } = deps
  await using building = new AsyncDisposableStack()
  const socketPath = await freeSocketPath(directory)
  const main = await listenHttp(
    { app, clock, logger },
    { path: socketPath, bounds: options.bounds },
  )
  building.defer(() => main.close())
  const workers = new Set<Worker>()
  building.defer(async () => {
    await Promise.all([...workers].map((worker) => worker.terminate()))
  })
  // Ended before the threads are: one that ends then is not started again.
  const stop = new AbortController()
  building.defer(() => stop.abort())
  tls?.onChange((pair) => {
    for (const worker of workers) say(worker, { kind: 'tls', pair: toText(pair) })
  })

  function startOne(): Promise<void> {
    const workerData: ReaderStart = {
      ...options,
      socketPath,
      ...(tls === undefined ? {} : { tls: toText(tls.pair()) }),
    }
    const worker = new Worker(new URL('./reader-thread.ts', import.meta.url), { workerData })
    workers.add(worker)
    const started = new Promise<void>((resolve, reject) => {
      worker.on('message', (message: FromReader) => {
        if (message.kind === 'listening') resolve()
        else if (message.kind === 'failed') {
          reject(new EntrepotError('LISTEN_FAILED', `reader not started: ${message.reason}`))
        } else void hear(worker, message)
      })
      worker.once('error', (err) => {
        logger.error({ err }, 'reader ended by a fault')
        reject(new EntrepotError('LISTEN_FAILED', `reader not started: ${messageOf(err)}`))
      })
    })
    worker.once('exit', () => {
      workers.delete(worker)
      if (!stop.signal.aborted) void restart()
    })
    return started
  }

  async function restart(): Promise<void> {
    await clock.sleep(RESTART_MS, { signal: stop.signal }).catch(() => {})
    if (stop.signal.aborted) return
    await startOne().catch((err: unknown) => logger.error({ err }, 'reader not started again'))
  }

  async function hear(worker: Worker, message: FromReader): Promise<void> {
    if (message.kind === 'damaged') {
      await deps.damage.report(message.repository, message.digest, message.why)
    } else if (message.kind === 'ask') {
      // Whatever goes wrong here, the app meets it again and answers for it.
      const blob = await deps.permit(message.blob).catch(() => undefined)
      say(worker, { kind: 'answer', id: message.id, ...(blob === undefined ? {} : { blob }) })
    }
  }

  await Promise.all(Array.from({ length: count }, startOne))
  const parts = building.move()
  return {
    drain: async () => {
      stop.abort()
      await Promise.all([...workers].map(drained))
      await main.drain()
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** @throws LISTEN_FAILED when the path is longer than the system takes */
async function freeSocketPath(directory: string): Promise<string> {
  const path = resolve(directory, 'readers.sock')
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const message = `with --readers the path of the data directory may be some ${MAX_SOCKET_PATH_BYTES - 25} bytes long: ${path} is too long for a socket`
    throw new EntrepotError('LISTEN_FAILED', message)
  }
  // Left by a process that was killed; the lock of the index says that it is gone.
  await rm(path, { force: true })
  return path
}

function say(worker: Worker, message: ToReader): void {
  worker.postMessage(message)
}

function drained(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.on('message', (message: FromReader) => {
      if (message.kind === 'drained') resolve()
    })
    worker.once('exit', () => resolve())
    say(worker, { kind: 'drain' })
  })
}

function toText({ cert, key }: TlsPair): TlsText {
  return { cert: cert.toString(), key: key.toString() }
}
