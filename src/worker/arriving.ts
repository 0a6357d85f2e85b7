/** Reads a blob while it arrives: whoever asks joins the one flight that brings it, and follows the file that grows. */
import type { Clock } from '../lib/clock.ts'
import { createNap } from '../lib/nap.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore, ByteRange, GrowingFile } from '../storage/blob-store.ts'
import type { Fetcher, Image } from '../transfer/fetcher.ts'
import { stageNameOf } from '../transfer/pull-blob.ts'

export interface ArrivingTarget {
  readonly repository: RepositoryName
  readonly image: Image
  readonly blob: Descriptor
}

export interface ArrivingDeps {
  readonly fetcher: Pick<Fetcher, 'blob'>
  readonly blobs: Pick<BlobStore, 'read' | 'openStaged'>
  readonly clock: Pick<Clock, 'sleep'>
}

/** Bytes read at a time. */
const READ_BYTES = 512 * 1024
/** So long at most nobody looks whether there is more, milliseconds: progress is told before the file has grown. */
const LOOK_MS = 50

/**
 * The bytes of the range as they come. The last byte of the blob is given only once all of it is verified: what ends well is
 * whole. @throws when it does not come, or when what was given already turns out wrong; the signal's reason
 */
export async function* readArriving(
  { fetcher, blobs, clock }: ArrivingDeps,
  { repository, image, blob }: ArrivingTarget,
  { start, end }: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const leave = new AbortController()
  const either = AbortSignal.any([signal, leave.signal])
  const nap = createNap({ clock })
  let here = 0
  let isRestarted = false
  const onProgress = (bytes: number) => {
    if (bytes < here) isRestarted = true
    here = bytes
    nap.wake()
  }
  let outcome: Awaited<ReturnType<Fetcher['blob']>> | undefined
  let fault: Error | undefined
  const flight = fetcher.blob(repository, image, blob, { signal: either, onProgress }).then(
    (pull) => {
      outcome = pull
      nap.wake()
    },
    (err: unknown) => {
      fault = err instanceof Error ? err : new Error(String(err))
      outcome = { kind: 'failed', reason: 'stopped' }
      nap.wake()
    },
  )
  let file: GrowingFile | undefined
  let at = start
  try {
    while (at < end) {
      signal.throwIfAborted()
      // Wrong bytes were thrown away and the blob begins anew: what was sent of them cannot be taken back.
      if (isRestarted && at > start) throw new Error(`${blob.digest} had wrong bytes`)
      if (isRestarted) {
        await file?.close()
        file = undefined
        isRestarted = false
      }
      if (outcome?.kind === 'pulled') {
        yield* rest(await blobs.read(blob.digest, { start: at, end }), blob)
        return
      }
      if (outcome !== undefined) throw fault ?? new Error(outcome.reason)
      file ??= await blobs.openStaged?.(stageNameOf(blob.digest))
      const most = Math.min(end, here, blob.size - 1) - at
      const bytes = most > 0 ? await file?.read(at, Math.min(READ_BYTES, most)) : undefined
      if (isRestarted || bytes === undefined || bytes.length === 0) {
        if (outcome === undefined) await nap.take(LOOK_MS, { signal: either })
        continue
      }
      at += bytes.length
      yield bytes
    }
  } finally {
    leave.abort(new DOMException('the reader has left', 'AbortError'))
    await file?.close()
    await flight
  }
}

async function* rest(
  stream: AsyncIterable<Uint8Array> | undefined,
  { digest }: Descriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (stream === undefined) throw new Error(`${digest} was here a moment ago`)
  yield* stream
}
