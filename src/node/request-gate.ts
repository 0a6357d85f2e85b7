/** At most so many requests under way at once; one more is told to come back. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../lib/logger.ts'
import { reasonPhrase } from '../lib/reason-phrase.ts'

export interface RequestGate {
  /** Whether the request may go on; it counts until its response is closed. */
  enter(incoming: IncomingMessage, outgoing: ServerResponse): boolean
  /** The answer to one that may not. */
  refusal(incoming: IncomingMessage, outgoing: ServerResponse): Response
}

/** What watches a node must see it also when it is busy. */
const ALWAYS: ReadonlySet<string> = new Set(['/healthz', '/readyz'])
/** Seconds: most requests are over by then. */
const RETRY_AFTER = '1'

export function createRequestGate(
  { logger }: { readonly logger: Logger },
  { requests }: { readonly requests: number },
): RequestGate {
  let underWay = 0
  let isFull = false
  return {
    enter: ({ url = '' }, outgoing) => {
      if (underWay >= requests && !ALWAYS.has(url)) {
        if (!isFull) logger.warn({ requests }, 'too many requests under way: more are refused')
        isFull = true
        return false
      }
      underWay += 1
      outgoing.once('close', () => {
        underWay -= 1
        // Said again only after the crowd has gone.
        if (underWay < requests / 2) isFull = false
      })
      return true
    },
    refusal: ({ url = '' }, outgoing) => {
      const code = 'TOOMANYREQUESTS'
      const message = `${requests} requests are under way on this node; try again in ${RETRY_AFTER} s`
      outgoing.statusMessage = reasonPhrase(message)
      const error = { code, message }
      const body = url.startsWith('/v2') ? { errors: [error] } : { error }
      return Response.json(body, { status: 503, headers: { 'retry-after': RETRY_AFTER } })
    },
  }
}
