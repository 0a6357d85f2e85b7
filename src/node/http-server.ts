/** The HTTP server of a node: the registry and the administration API on one port. */
import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import type { Hono } from 'hono'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'

export interface HttpServer {
  readonly port: number
  /** No new requests; resolves when those under way have ended. */
  drain(): Promise<void>
  /** Cuts what is still open. */
  close(): void
}

/** A request's headers must be in by then, milliseconds: slow senders do not hold sockets. */
const HEADERS_TIMEOUT_MS = 20_000
/**
 * A socket in the middle of a request without a byte either way is cut after this, milliseconds: a stalled client must not hold
 * a session for ever, and the check of a large blob at its end is silent for as long as a slow disk takes.
 */
const STALL_MS = 300_000
/** An idle connection is kept for the next request, milliseconds: longer than common clients and proxies keep theirs. */
const KEEP_ALIVE_MS = 75_000
/** A path has a repository name, a digest and percent signs; a token fits: headers, bytes. */
const MAX_HEADER_BYTES = 16 * 1024

/** @throws PORT_TAKEN, LISTEN_FAILED */
export async function listenHttp(
  app: Hono<never>,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    // A layer of any size over a slow link takes as long as it takes: only silence is cut, see STALL_MS.
    serverOptions: {
      requestTimeout: 0,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      noDelay: true,
    },
  }) as Server
  server.timeout = STALL_MS
  await listen(server, host, port)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
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

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      if (codeOf(cause) === 'EADDRINUSE') {
        const message = `port ${port} on ${host} is taken by another process; stop it, or choose another with --listen`
        reject(new EntrepotError('PORT_TAKEN', message, { cause }))
        return
      }
      const message = `cannot listen on ${host}:${port}: ${messageOf(cause)}`
      reject(new EntrepotError('LISTEN_FAILED', message, { cause }))
    })
    server.listen(port, host, () => resolve())
  })
}
