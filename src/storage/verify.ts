/** The check that every blob passes before it has its name. */
import { EntrepotError } from '../lib/errors.ts'
import { algorithmOf, createHasher, type Digest, digestOf } from '../oci/digest.ts'
import type { BlobStore } from './blob-store.ts'

/** @throws DIGEST_MISMATCH */
export function verify(digest: Digest, bytes: Uint8Array): void {
  const actual = digestOf(bytes, algorithmOf(digest))
  if (actual === digest) return
  throw new EntrepotError('DIGEST_MISMATCH', `expected ${digest}, the bytes are ${actual}`)
}

/** What the bytes of a blob are now, read from the disk; undefined where there is no file. */
export async function digestOnDisk(
  blobs: Pick<BlobStore, 'read'>,
  digest: Digest,
  { signal }: { readonly signal: AbortSignal },
): Promise<Digest | undefined> {
  const stream = await blobs.read(digest)
  if (stream === undefined) return undefined
  const hasher = createHasher(algorithmOf(digest))
  // Leaving the loop destroys the stream.
  for await (const chunk of stream) {
    signal.throwIfAborted()
    hasher.update(chunk as Uint8Array)
  }
  return hasher.digest()
}
