/** Why an upload is refused. */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'

/** Seconds: a session lasts as long as a layer takes. */
const RETRY_AFTER = '30'

export function otherBytes(expected: Digest, size: number, actual: Digest): OciError {
  const message = `expected ${expected}, the ${size} bytes received are ${actual}; push the blob again`
  return new OciError('DIGEST_INVALID', { message })
}

export function atWork(): OciError {
  const message = 'another request of this upload is under way; wait for it'
  return new OciError('BLOB_UPLOAD_INVALID', { message, status: 409 })
}

export function tooManySessions(limit: number): OciError {
  const message = `${limit} uploads are under way on this node; finish or cancel some, then try again`
  const headers = { 'retry-after': RETRY_AFTER }
  return new OciError('TOOMANYREQUESTS', { message, status: 503, headers })
}

/**
 * Passes the source on. `onPassing` is called, once, when more than `mark` bytes have come.
 * @throws OciError SIZE_INVALID (413) once the source has brought more than `room` bytes
 */
export async function* atMost(
  room: number,
  source: AsyncIterable<Uint8Array>,
  mark = Number.POSITIVE_INFINITY,
  onPassing = () => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let came = 0
  for await (const chunk of source) {
    const before = came
    came += chunk.length
    if (came > room) {
      const message = 'the upload is larger than this node takes; --limit upload-bytes raises it'
      throw new OciError('SIZE_INVALID', { message, status: 413 })
    }
    if (before <= mark && came > mark) onPassing()
    yield chunk
  }
}
