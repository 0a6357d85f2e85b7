/** Requests that a reader thread takes and the main thread answers: over a socket that only this node's user can open. */
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { endToEnd } from '../lib/end-to-end.ts'
import { codeOf, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { reasonPhrase } from '../lib/reason-phrase.ts'

/** IP address of the client. It counts on the forwarding socket only. */
const CALLER_HEADER = 'x-entrepot-caller'

export interface Forwarder {
  /** Resolves when the answer has ended, or one of the two sides has gone. */
  forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void>
  close(): void
}

export function createForwarder(
  { logger }: { readonly logger: Logger },
  { socketPath }: { readonly socketPath: string },
): Forwarder {
  const agent = new Agent({ keepAlive: true })

  async function send(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<IncomingMessage> {
    const upstream = request({
      agent,
      socketPath,
      method: incoming.method,
      path: incoming.url,
      headers: {
        ...endToEnd(incoming.headers),
        [CALLER_HEADER]: incoming.socket.remoteAddress ?? '',
      },
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.on('response', resolve)
      upstream.on('error', reject)
    })
    // The main thread need not work for who has left.
    outgoing.once('close', () => upstream.destroy())
    // It may answer, and close, before the body is in: the answer counts, so nothing of the client's is destroyed.
    incoming.pipe(upstream)
    return answered
  }

  return {
    forward: async (incoming, outgoing) => {
      try {
        const answer = await send(incoming, outgoing)
        outgoing.statusMessage = reasonPhrase(answer.statusMessage ?? '')
        outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
        await pipeline(answer, outgoing)
      } catch (err) {
        if (codeOf(err) === 'ERR_STREAM_PREMATURE_CLOSE' || outgoing.destroyed) {
          outgoing.destroy()
          return
        }
        logger.warn({ reason: messageOf(err), path: incoming.url }, 'request not forwarded')
        if (outgoing.headersSent) outgoing.destroy()
        else outgoing.writeHead(502).end()
      }
    },
    close: () => agent.destroy(),
  }
}

/** For the server on the forwarding socket: the client's address takes the place of the socket's, which has none. */
export function takeCaller(incoming: IncomingMessage): void {
  const value = incoming.headers[CALLER_HEADER]
  delete incoming.headers[CALLER_HEADER]
  Object.defineProperty(incoming.socket, 'remoteAddress', { configurable: true, value })
}
