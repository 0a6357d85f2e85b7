/** Digests: the identity of content. `algorithm:hex`, sha256 or sha512 (OCI image-spec descriptor.md "Digests"). */
import { createHash, type Hash } from 'node:crypto'

export type Digest = string & { readonly __brand: 'Digest' }
export type DigestAlgorithm = 'sha256' | 'sha512'

const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

/** The digest, or undefined when `text` is not one of a supported algorithm in canonical form. */
export function parseDigest(text: string): Digest | undefined {
  return PATTERN.test(text) ? (text as Digest) : undefined
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The hex part. */
export function hexOf(digest: Digest): string {
  return digest.slice(7)
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return createHasher(algorithm).update(bytes).digest()
}

/** A running hash that ends in a Digest. */
export interface Hasher {
  update(bytes: Uint8Array): Hasher
  digest(): Digest
}

export function createHasher(algorithm: DigestAlgorithm = 'sha256'): Hasher {
  const hash: Hash = createHash(algorithm)
  const hasher: Hasher = {
    update: (bytes) => {
      hash.update(bytes)
      return hasher
    },
    digest: () => `${algorithm}:${hash.digest('hex')}` as Digest,
  }
  return hasher
}
