/** At most so many requests under way at once; one more is told to come back. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../lib/logger.ts'
import { putOff } from './put-off.ts'

export interface RequestGate {
  /** Whether the request may go on; it counts until its response is closed. */
  enter(incoming: IncomingMessage, outgoing: ServerResponse): boolean
  /** The answer to one that may not. */
  refusal(incoming: IncomingMessage): Response
}

/** What watches a node must see it also when it is busy. */
const ALWAYS: ReadonlySet<string> = new Set(['/healthz', '/readyz'])
/** Seconds: most requests are over by then. */
const RETRY_AFTER_S = 1

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
    refusal: ({ url = '' }) =>
      putOff(url, `${requests} requests are under way on this node`, RETRY_AFTER_S),
  }
}
