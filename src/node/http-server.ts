/** The HTTP server of a node: the registry and the administration API on one port. */
import { createServer as createPlainServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Hono } from 'hono'
import type { Clock } from '../lib/clock.ts'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Bounds } from './bounds.ts'
import { takeCaller } from './forward.ts'
import { createRequestGate } from './request-gate.ts'
import { createRequestListener } from './request-listener.ts'
import { createStallWatch } from './stall-watch.ts'
import type { TlsFiles } from './tls-files.ts'
import { followTls, tlsOptions } from './tls-server.ts'

export interface HttpServer {
  /** 0 for a socket of the file system. */
  readonly port: number
  /** No new requests; resolves when those under way have ended. */
  drain(): Promise<void>
  /** Cuts what is still open. */
  close(): void
}

/** Looks at unfinished headers in one header timeout: a slow sender is cut at the latest a quarter after its time. */
const HEADER_LOOKS = 4
/** Dropped connections are reported once in so long, milliseconds: a flood must not fill the log. */
const DROPS_QUIET_MS = 60_000

export interface HttpServerDeps {
  readonly app: Pick<Hono<never>, 'fetch'>
  readonly clock: Clock
  readonly logger: Logger
  /** With it the server speaks TLS, and nothing else. */
  readonly tls?: TlsFiles | undefined
}

export type HttpServerOptions = (TcpListen | ForwardListen) & { readonly bounds: Bounds }

interface TcpListen {
  readonly host: string
  readonly port: number
  /** Threads of the node share the port: `first` finds it free and opens it to the others. */
  readonly sharing?: 'first' | 'other'
}

/** A socket of the file system, for requests that reader threads hand over. */
interface ForwardListen {
  readonly path: string
}

/** @throws PORT_TAKEN, LISTEN_FAILED */
export async function listenHttp(
  deps: HttpServerDeps,
  options: HttpServerOptions,
): Promise<HttpServer> {
  const { app, clock, logger, tls } = deps
  const { bounds } = options
  const gate = createRequestGate({ logger }, bounds)
  const listener = createRequestListener({ app, gate, logger })
  const serverOptions = {
    // A layer of any size over a slow link takes as long as it takes: the stall watch cuts who sends next to nothing.
    requestTimeout: 0,
    headersTimeout: bounds.headerTimeout,
    connectionsCheckingInterval: bounds.headerTimeout / HEADER_LOOKS,
    keepAliveTimeout: bounds.idleTimeout,
    maxHeaderSize: bounds.headerBytes,
    noDelay: true,
  }
  const server =
    tls === undefined
      ? createPlainServer(serverOptions, listener)
      : createTlsServer({ ...serverOptions, ...tlsOptions(tls.pair()) }, listener)
  if (tls !== undefined) followTls(server as TlsServer, tls, logger)
  server.maxConnections = bounds.connections
  reportDrops(server, deps, options)
  if ('path' in options) server.prependListener('request', takeCaller)
  // A shared port is given to every process of the user that asks: two nodes by mistake on one would answer for each other.
  if ('sharing' in options && options.sharing === 'first') await expectFree(options)
  await listen(server, options)
  // In the turn in which it listens, before any request: a server that never did has no timers to end.
  const stalls = createStallWatch({ clock, logger }, bounds)
  server.prependListener('request', stalls.watch)
  server.once('close', stalls.close)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    drain: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

function reportDrops(
  server: Server,
  { clock, logger }: HttpServerDeps,
  { bounds }: HttpServerOptions,
): void {
  let quietUntil = 0
  server.on('drop', () => {
    if (clock.now() < quietUntil) return
    quietUntil = clock.now() + DROPS_QUIET_MS
    logger.warn({ connections: bounds.connections }, 'too many connections: new ones are closed')
  })
}

async function expectFree({ host, port }: TcpListen): Promise<void> {
  const probe = createPlainServer()
  await listen(probe, { host, port })
  await new Promise((resolve) => probe.close(resolve))
}

async function listen(server: Server, to: TcpListen | ForwardListen): Promise<void> {
  if ('path' in to) {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(to.path, resolve)
    })
    return
  }
  const { host, port, sharing } = to
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      if (codeOf(cause) === 'EADDRINUSE') {
        const message = `port ${port} on ${host} is taken by another process; stop it, or choose another with --listen`
        reject(new EntrepotError('PORT_TAKEN', message, { cause }))
        return
      }
      const message = `cannot listen on ${host}:${port}: ${messageOf(cause)}`
      reject(new EntrepotError('LISTEN_FAILED', message, { cause }))
    })
    server.listen({ port, host, reusePort: sharing !== undefined }, resolve)
  })
}
