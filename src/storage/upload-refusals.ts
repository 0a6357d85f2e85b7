/** Why an upload is refused. */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'

/** Seconds: a session lasts as long as a layer takes. */
const RETRY_AFTER = '30'

export function otherBytes(expected: Digest, size: number, actual: Digest): OciError {
  const message = `expected ${expected}, the ${size} bytes received are ${actual}; push the blob again`
  return new OciError('DIGEST_INVALID', { message })
}

export function tooManySessions(limit: number): OciError {
  const message = `${limit} uploads are open on this node; finish or cancel some, then try again`
  const headers = { 'retry-after': RETRY_AFTER }
  return new OciError('TOOMANYREQUESTS', { message, status: 503, headers })
}

/** @throws OciError SIZE_INVALID (413) once the source has brought more than `room` bytes */
export async function* atMost(
  room: number,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = room
  for await (const chunk of source) {
    left -= chunk.length
    if (left < 0) {
      const message = 'the upload is larger than this node takes; --limit upload-bytes raises it'
      throw new OciError('SIZE_INVALID', { message, status: 413 })
    }
    yield chunk
  }
}
