/** Errors on the wire: bodies of the specification; of an unexpected fault only an id that stands in the log. */
import { randomUUID } from 'node:crypto'
import { codeOf, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { reasonPhrase } from '../lib/reason-phrase.ts'
import { OciError } from '../oci/errors.ts'

/**
 * Faults of the machine that an operator can mend: code -> [status, message]. What of an upload is on disk stays, so the
 * client may go on from the offset that the node tells.
 */
const DISK_FAULTS: Readonly<Record<string, readonly [number, string]>> = {
  ENOSPC: [507, 'the disk of this node is full; free space there, then push again'],
  EDQUOT: [507, 'the disk quota of this node is used up; raise it or free space, then push again'],
  EROFS: [503, 'the data directory of this node is read-only; mount it writable, then push again'],
  EIO: [503, 'the disk of this node fails; look at its health, or push to another node'],
  EMFILE: [503, 'this node has too many files open; try again'],
  ENFILE: [503, 'the machine of this node has too many files open; try again'],
  INDEX_WRITE_FAILED: [
    503,
    'the index of this node cannot be written: its disk is full, read-only or failing; the change is not acknowledged, try again once that is mended',
  ],
  INDEX_REOPENING: [503, 'the index of this node is being opened again; try again in a moment'],
  LEVEL_IO_ERROR: [503, 'the index of this node cannot be read; look at the health of its disk'],
}

/** Seconds. A node looks every 5 s at the latest whether its disk takes writes again. */
const RETRY_AFTER = '5'

/** The message stands in the status text too: clients show no body of a 503, and containerd none at all. */
export function errorResponse(error: unknown, logger: Logger): Response {
  if (error instanceof OciError) {
    const { code, message, detail, status, headers } = error
    const body = { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }
    return json(status, body, { headers, message })
  }
  const fault = DISK_FAULTS[codeOf(error) ?? '']
  if (fault !== undefined) {
    const [status, message] = fault
    logger.error({ err: error }, 'disk fault')
    // The specification has no code for it; the status is what clients go by.
    const body = { errors: [{ code: 'BLOB_UPLOAD_INVALID', message }] }
    return json(status, body, {
      headers: status === 503 ? { 'retry-after': RETRY_AFTER } : {},
      message,
    })
  }
  const requestId = randomUUID()
  logger.error({ err: error, requestId, reason: messageOf(error) }, 'request failed')
  return json(500, { requestId })
}

function json(
  status: number,
  body: object,
  {
    headers = {},
    message = '',
  }: { readonly headers?: Readonly<Record<string, string>>; readonly message?: string } = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    statusText: reasonPhrase(message),
    headers: { 'content-type': 'application/json', ...headers },
  })
}
