/** The check that every blob passes before it has its name. */
import { EntrepotError } from '../lib/errors.ts'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'

/** @throws DIGEST_MISMATCH */
export function verify(digest: Digest, bytes: Uint8Array): void {
  const actual = digestOf(bytes, algorithmOf(digest))
  if (actual === digest) return
  throw new EntrepotError('DIGEST_MISMATCH', `expected ${digest}, the bytes are ${actual}`)
}
