/** Reads a blob while it arrives: whoever asks joins the one flight that brings it, and follows the file that grows. */
import type { Clock } from '../lib/clock.ts'
import { createNap } from '../lib/nap.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore, ByteRange, GrowingFile } from '../storage/blob-store.ts'
import type { Damage } from '../storage/damage.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Fetcher, Image } from '../transfer/fetcher.ts'
import { stageNameOf } from '../transfer/pull-blob.ts'

export interface ArrivingTarget {
  readonly repository: RepositoryName
  readonly image: Image
  readonly blob: Descriptor
  /** Nodes that wait for it. */
  readonly asking?: readonly NodeName[]
}

export interface ArrivingDeps {
  readonly fetcher: Pick<Fetcher, 'blob'>
  readonly blobs: Pick<BlobStore, 'read' | 'openStaged'>
  readonly damage: Pick<Damage, 'has'>
  readonly clock: Pick<Clock, 'sleep'>
}

/** Bytes read at a time. */
const READ_BYTES = 512 * 1024
/** So long at most nobody looks whether there is more, milliseconds: progress is told before the file has grown. */
const LOOK_MS = 50

/**
 * The bytes of the range as they come. Its last byte is given only once all of the blob is verified: what ends well is right. A
 * node verifies the blob itself, and asks piece by piece where its link is slow: the last byte of the blob is what it waits for.
 * @throws when it does not come, or when what was given already turns out wrong; the signal's reason
 */
export async function* readArriving(
  { fetcher, blobs, damage, clock }: ArrivingDeps,
  { repository, image, blob, asking = [] }: ArrivingTarget,
  { start, end }: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const leave = new AbortController()
  const either = AbortSignal.any([signal, leave.signal])
  const nap = createNap({ clock })
  let here = 0
  let isRestarted = false
  const onProgress = (bytes: number) => {
    // Also where none of it was told of yet: the file that is open may be the one thrown away.
    if (bytes < here || bytes === 0) isRestarted = true
    here = bytes
    nap.wake()
  }
  let outcome: Awaited<ReturnType<Fetcher['blob']>> | undefined
  let fault: Error | undefined
  const isDamaged = damage.has(blob.digest)
  const options = { signal: either, onProgress, isDamaged, asking }
  const flight = fetcher.blob(repository, image, blob, options).then(
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
  const unverified = Math.min(end, (asking.length > 0 ? blob.size : end) - 1)
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
      const isWhole = outcome?.kind === 'pulled'
      if (outcome !== undefined && outcome.kind !== 'pulled')
        throw fault ?? new Error(outcome.reason)
      // Without a word of progress the open file may be what another flight left.
      if (isWhole && (file === undefined || here === 0)) {
        yield* rest(await blobs.read(blob.digest, { start: at, end }), blob, end - at)
        return
      }
      file ??= await blobs.openStaged?.(stageNameOf(blob.digest))
      // What a slow reader has open stays the blob, also where it was evicted meanwhile.
      const most = (isWhole ? end : Math.min(here, unverified)) - at
      const bytes = most > 0 ? await file?.read(at, Math.min(READ_BYTES, most)) : undefined
      if (isRestarted || bytes === undefined || bytes.length === 0) {
        if (isWhole && !isRestarted) throw cutShort(blob)
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
  blob: Descriptor,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = length
  for await (const bytes of stream ?? []) {
    left -= bytes.length
    yield bytes
  }
  if (left !== 0) throw cutShort(blob)
}

function cutShort({ digest }: Descriptor): Error {
  return new Error(`${digest} was here a moment ago`)
}
