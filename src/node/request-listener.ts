/** From a request of Node to the app and back: what never reaches a route is answered here. */
import { randomUUID } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { getRequestListener, RequestError } from '@hono/node-server'
import type { Hono } from 'hono'
import type { Logger } from '../lib/logger.ts'
import type { RequestGate } from './request-gate.ts'

export interface RequestListenerDeps {
  readonly app: Hono<never>
  readonly gate: RequestGate
  readonly logger: Logger
}

export function createRequestListener({ app, gate, logger }: RequestListenerDeps): RequestListener {
  const listener = getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as NodeEnvironment
      if (!gate.enter(incoming, outgoing)) return gate.refusal(incoming)
      return app.fetch(request, env as never)
    },
    { errorHandler: (err) => answerTo(err, logger) },
  )
  return (incoming, outgoing) => void listener(incoming, outgoing)
}

interface NodeEnvironment {
  readonly incoming: Parameters<RequestListener>[0]
  readonly outgoing: Parameters<RequestListener>[1]
}

/** In the form of the OCI API, whatever was asked: of a broken request nobody knows what was meant. */
function answerTo(err: unknown, logger: Logger): Response {
  if (err instanceof RequestError) {
    const message = `expected a path without backslashes and a valid Host header: ${err.message}`
    return Response.json({ errors: [{ code: 'UNSUPPORTED', message }] }, { status: 400 })
  }
  const requestId = randomUUID()
  logger.error({ err, requestId }, 'request failed')
  return Response.json({ requestId }, { status: 500 })
}
