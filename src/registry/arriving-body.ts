/** The body of a blob that is still on its way: sent as it comes, cut where it does not come. */
import type { ServerResponse } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { codeOf, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { ByteRange } from '../storage/blob-store.ts'
import type { ResponseHead } from './blob-body.ts'

/** A blob that comes because it was asked for. */
export interface ArrivingBlob {
  /** Bytes of the whole blob. */
  readonly size: number
  /** The bytes of the range as they come; whole and verified once it ends. @throws when they do not come, the signal's reason */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** Seconds: a source that restarts is back then. */
const RETRY_AFTER = '5'

export interface ArrivingAsk {
  readonly digest: Digest
  readonly range: ByteRange
  readonly outgoing: ServerResponse | undefined
  readonly logger: Logger
}

/** @throws OciError 503 as long as nothing was sent; afterwards the connection is cut, so that nobody takes it for whole */
export async function sendArriving(
  blob: ArrivingBlob,
  { digest, range, outgoing, logger }: ArrivingAsk,
  { status, headers }: ResponseHead,
): Promise<Response> {
  const gone = new AbortController()
  outgoing?.on('close', () => gone.abort(new DOMException('the client has left', 'AbortError')))
  outgoing?.on('error', () => {})
  if (outgoing?.destroyed) gone.abort(new DOMException('the client has left', 'AbortError'))
  const chunks = blob.read(range, gone.signal)[Symbol.asyncIterator]()
  const first = await chunks.next().catch((err: unknown) => {
    const code = codeOf(err)
    if (code !== undefined && !gone.signal.aborted)
      logger.error({ err, digest }, 'blob not kept while it came')
    // What sources say may be told; what the system says has paths of this machine in it.
    const message =
      code === undefined
        ? `the blob comes from another node, which does not give it now: ${messageOf(err)}`
        : `the disk of this node does not take the blob: ${code}; free space or mend it there, or pull from another node`
    const hint = { 'retry-after': RETRY_AFTER }
    throw new OciError('TOOMANYREQUESTS', {
      message,
      status: 503,
      detail: { digest },
      headers: hint,
    })
  })
  const all = from(first, chunks)
  if (outgoing === undefined) {
    return new Response(ReadableStream.from(all) as ReadableStream<Uint8Array<ArrayBuffer>>, {
      status,
      headers,
    })
  }
  outgoing.writeHead(status, headers)
  try {
    for await (const chunk of all) {
      if (outgoing.destroyed) break
      if (!outgoing.write(chunk)) await drained(outgoing)
    }
    if (!outgoing.destroyed) outgoing.end()
  } catch (err) {
    if (!gone.signal.aborted) {
      logger.warn(
        { digest, reason: messageOf(err) },
        'blob did not come to its end: reader cut off',
      )
    }
    outgoing.destroy()
  }
  return RESPONSE_ALREADY_SENT
}

async function* from(
  first: IteratorResult<Uint8Array>,
  others: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let next = first; next.done !== true; next = await others.next()) yield next.value
  } finally {
    await others.return?.()
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    // Both go with the first: a large blob waits here thousands of times.
    const done = () => {
      outgoing.off('drain', done)
      outgoing.off('close', done)
      resolve()
    }
    outgoing.on('drain', done)
    outgoing.on('close', done)
  })
}
