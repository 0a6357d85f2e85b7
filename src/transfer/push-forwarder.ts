/** Streams a client's request to another node and the answer back. Nothing of this node's own rights goes with it. */
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { errors, request } from 'undici'
import { endToEnd } from '../lib/end-to-end.ts'
import { messageOf } from '../lib/errors.ts'
import type { Writer } from '../peers/writer-choice.ts'
import { type Elsewhere, type Forwarded, PASSED_BY_HEADER } from '../registry/elsewhere.ts'
import { createNodeAgents, type NodeAgentsDeps } from './node-agents.ts'
import { createSendingPacers, type SendingPacersDeps, whenItMayGo } from './paced-body.ts'
import { SMALL_BYTES } from './pacer.ts'

export interface PushForwarder extends AsyncDisposable, Pick<Elsewhere, 'forward'> {
  /** Whether the registry answers that it is ready. */
  isReady(writer: Writer): Promise<boolean>
}

export type PushForwarderDeps = NodeAgentsDeps & SendingPacersDeps

export interface PushForwarderOptions {
  /** Requests on their way at once; each holds a socket to each side and some 300 KiB. */
  readonly maxRequests: number
  /** What clients of this node speak. */
  readonly scheme: 'http' | 'https'
  /** Until a writer answers what begins a push, milliseconds. */
  readonly beginTimeoutMs?: number
}

/** The answer must come so soon after the last byte of the request, milliseconds: a writer hashes and syncs a large layer before. */
const ANSWER_TIMEOUT_MS = 120_000
/** What reads is answered from an index, milliseconds: who hangs for longer is passed over. */
const READ_TIMEOUT_MS = 10_000
/** What begins an upload is too, but a writer that is behind with its work waits 10 s before it says so. */
const BEGIN_TIMEOUT_MS = 30_000
/** No byte of an answer for so long, milliseconds: the writer or the link is gone. */
const IDLE_TIMEOUT_MS = 60_000
/** A node that is up says so at once, milliseconds. */
const READY_TIMEOUT_MS = 2_000

export function createPushForwarder(
  deps: PushForwarderDeps,
  { maxRequests, scheme, beginTimeoutMs = BEGIN_TIMEOUT_MS }: PushForwarderOptions,
): PushForwarder {
  const agents = createNodeAgents(deps, {
    connections: maxRequests,
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: IDLE_TIMEOUT_MS,
  })
  const pacerTo = createSendingPacers(deps)
  let underWay = 0

  function timeoutOf(method: string, hasBody: boolean): number {
    if (method === 'GET' || method === 'HEAD') return READ_TIMEOUT_MS
    // The PUT that ends an upload has no body either, and waits for its hash.
    return method === 'PUT' || hasBody ? ANSWER_TIMEOUT_MS : beginTimeoutMs
  }

  async function pass(
    { name, endpoint }: Writer,
    { method, path, headers, address, body }: Parameters<Elsewhere['forward']>[1],
    signal: AbortSignal,
    over: () => void,
  ): Promise<Forwarded> {
    const pacer = pacerTo(name)
    const length = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY)
    const turn = { isSmall: length <= SMALL_BYTES, signal }
    let isBegun = false
    let isClientGone = false
    /** Read only once there is a connection: what was not reached has cost the client nothing. */
    async function* reading(source: AsyncIterator<Uint8Array>) {
      isBegun = true
      try {
        for (;;) {
          const next = await source.next().catch((err: unknown) => {
            isClientGone = true
            throw err
          })
          if (next.done === true) return
          if (pacer === undefined) yield next.value
          else yield* whenItMayGo(next.value, pacer, turn)
        }
      } finally {
        await source.return?.()
      }
    }
    const headersTimeout = timeoutOf(method, body !== undefined)
    const source = body?.()[Symbol.asyncIterator]()
    const stream =
      source === undefined ? null : Readable.from(reading(source), { objectMode: false })
    try {
      const answer = await request(`${endpoint}${path}`, {
        dispatcher: agents.to(name),
        method,
        headers: {
          ...requestHeaders(headers),
          ...forwardedHeaders(headers, { address, scheme }),
          [PASSED_BY_HEADER]: deps.self,
        },
        body: stream,
        headersTimeout,
        signal,
      })
      answer.body.once('close', over)
      return {
        kind: 'answer',
        status: answer.statusCode,
        statusText: answer.statusText,
        headers: answerHeaders(answer.headers, endpoint),
        body: answer.body,
      }
    } catch (err) {
      over()
      if (isClientGone || signal.aborted) return { kind: 'gone' }
      const isSilent = err instanceof errors.HeadersTimeoutError
      const reason = isSilent ? `no answer within ${headersTimeout} ms` : messageOf(err)
      return { kind: isBegun ? 'broken' : 'unreached', reason }
    }
  }

  return {
    forward: async (writer, passed, { signal }) => {
      if (underWay >= maxRequests) return { kind: 'busy' }
      const closed = pacerTo(writer.name)?.closure()
      if (closed !== undefined) return { kind: 'unreached', reason: closed.message }
      underWay += 1
      let isOver = false
      return pass(writer, passed, signal, () => {
        if (!isOver) underWay -= 1
        isOver = true
      })
    },
    isReady: async ({ name, endpoint }) => {
      try {
        const answer = await request(`${endpoint}/readyz`, {
          dispatcher: agents.to(name),
          headersTimeout: READY_TIMEOUT_MS,
          bodyTimeout: READY_TIMEOUT_MS,
        })
        await answer.body.dump()
        return answer.statusCode === 200
      } catch {
        return false
      }
    },
    // A push goes on to its end when this node takes up another topology; a client that is cut ends it.
    [Symbol.asyncDispose]: async () => void agents.end().catch(() => {}),
  }
}

function requestHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { host: _, ...rest } = endToEnd(headers)
  return Object.fromEntries(
    Object.entries(rest).filter(([name]) => !name.startsWith('x-entrepot-')),
  )
}

/** Appended to what proxies before this node said. */
function forwardedHeaders(
  headers: IncomingHttpHeaders,
  { address, scheme }: { readonly address: string; readonly scheme: string },
): Record<string, string> {
  const appended = (name: string, value: string) =>
    headers[name] === undefined ? value : `${String(headers[name])}, ${value}`
  return {
    'x-forwarded-for': appended('x-forwarded-for', address),
    'x-forwarded-proto': appended('x-forwarded-proto', scheme),
  }
}

/** A Location at the writer becomes a path: clients resolve it against this node, where they asked. */
function answerHeaders(all: IncomingHttpHeaders, endpoint: string): IncomingHttpHeaders {
  const headers = endToEnd(all)
  const { location } = headers
  if (location === undefined || !URL.canParse(location, endpoint)) return headers
  const { origin, pathname, search } = new URL(location, endpoint)
  if (origin !== new URL(endpoint).origin) return headers
  return { ...headers, location: `${pathname}${search}` }
}
