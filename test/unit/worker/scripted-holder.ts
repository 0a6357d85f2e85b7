/** A holder of images in memory that notes what it is asked, can be held up, and can lose content. */
import type { Digest } from '../../../src/oci/digest.ts'
import type { RegistrySource } from '../../../src/transfer/registry-source.ts'
import { manifestsOf, type TestManifest } from '../../helpers/images.ts'

export interface ScriptedHolder {
  readonly source: RegistrySource
  manifestsAsked(): Digest[]
  blobsAsked(): Digest[]
  /** The bytes from which on a blob was asked for, each time. */
  offsetsOf(digest: Digest): number[]
  /** From now on bodies stop in the middle until the promise is resolved. */
  holdUp(): PromiseWithResolvers<void>
  lose(digest: Digest): void
  /** Bodies that are being read. */
  open(): number
}

export function createScriptedHolder(images: readonly TestManifest[]): ScriptedHolder {
  const manifests = new Map(images.flatMap(manifestsOf).map((one) => [one.digest, one]))
  const blobs = new Map(
    [...manifests.values()].flatMap((one) => one.blobs).map(({ digest, bytes }) => [digest, bytes]),
  )
  const manifestsAsked: Digest[] = []
  const blobsAsked: { readonly digest: Digest; readonly offset: number }[] = []
  let gate: Promise<void> | undefined
  let open = 0

  async function* halves(bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    open += 1
    try {
      const middle = Math.ceil(bytes.length / 2)
      yield bytes.subarray(0, middle)
      const aborted = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => aborted.resolve(), { once: true })
      await Promise.race([gate, aborted.promise])
      signal.throwIfAborted()
      yield bytes.subarray(middle)
    } finally {
      open -= 1
    }
  }

  return {
    source: {
      manifest: async (_node, _repository, digest) => {
        manifestsAsked.push(digest)
        const found = manifests.get(digest)
        if (found === undefined) return { kind: 'absent' }
        return { kind: 'manifest', bytes: found.bytes, mediaType: found.mediaType }
      },
      blob: async (_node, _repository, digest, { offset, signal }) => {
        blobsAsked.push({ digest, offset })
        const bytes = blobs.get(digest)
        if (bytes === undefined) return { kind: 'absent' }
        return { kind: 'blob', offset, body: halves(bytes.subarray(offset), signal) }
      },
    },
    manifestsAsked: () => [...manifestsAsked],
    blobsAsked: () => blobsAsked.map(({ digest }) => digest),
    offsetsOf: (digest) =>
      blobsAsked.filter((one) => one.digest === digest).map(({ offset }) => offset),
    holdUp: () => {
      const held = Promise.withResolvers<void>()
      gate = held.promise
      return held
    },
    lose: (digest) => {
      manifests.delete(digest)
      blobs.delete(digest)
    },
    open: () => open,
  }
}
