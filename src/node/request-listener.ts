/** From a request of Node to the app and back: what never reaches a route is answered here. */
import { randomUUID } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { getRequestListener, RequestError } from '@hono/node-server'
// Its mark for answers that are sent already has to be made before a listener replaces the global Response.
import '@hono/node-server/utils/response'
import type { Hono } from 'hono'
import type { Logger } from '../lib/logger.ts'
import type { OciErrorCode } from '../oci/errors.ts'
import type { RequestGate } from './request-gate.ts'

export interface RequestListenerDeps {
  readonly app: Pick<Hono<never>, 'fetch'>
  readonly gate: RequestGate
  readonly logger: Logger
}

export function createRequestListener({ app, gate, logger }: RequestListenerDeps): RequestListener {
  const listener = getRequestListener(
    async (request, env) => {
      const { incoming, outgoing } = env as NodeEnvironment
      if (!gate.enter(incoming, outgoing)) return withReason(gate.refusal(incoming), outgoing)
      if (hasDotSegment(incoming.url ?? ''))
        return badRequest('NAME_INVALID', 'no . or .. segments')
      return withReason(await app.fetch(request, env), outgoing)
    },
    { errorHandler: (err) => answerTo(err, logger) },
  )
  return (incoming, outgoing) => void listener(incoming, outgoing)
}

/** The adapter leaves the status text out. Only errors have one, and to ask for it makes an answer slower. */
function withReason(answer: Response, outgoing: ServerResponse): Response {
  if (answer.status >= 400) outgoing.statusMessage = answer.statusText
  return answer
}

interface NodeEnvironment {
  readonly incoming: Parameters<RequestListener>[0]
  readonly outgoing: Parameters<RequestListener>[1]
}

/**
 * Whether the path climbs, `%2e` for a dot included. Resolved it would be another route than the one that a proxy in front
 * looked at: `/v2/../api/v1/` is no request for `/v2/`.
 */
function hasDotSegment(target: string): boolean {
  return /\/(?:\.|%2e){1,2}(?:[/?#]|$)/i.test(target.split('?', 1)[0] ?? '')
}

function badRequest(code: OciErrorCode, expected: string): Response {
  const message = `expected a path and a Host header that are valid: ${expected}`
  return Response.json({ errors: [{ code, message }] }, { status: 400 })
}

/** In the form of the OCI API, whatever was asked: of a broken request nobody knows what was meant. */
function answerTo(err: unknown, logger: Logger): Response {
  if (err instanceof RequestError) return badRequest('UNSUPPORTED', err.message)
  const requestId = randomUUID()
  logger.error({ err, requestId }, 'request failed')
  return Response.json({ requestId }, { status: 500 })
}
