/** Gathers small chunks into large writes: one batch fills while the one before it is written and hashed. */
import { giveBack } from '../lib/lent-chunks.ts'

/** Bytes of one write: a write per 16 KiB of socket data costs more than the disk. Two are in memory per append. */
const BATCH_BYTES = 1024 * 1024

/**
 * Passes the source on in batches, one `write` at a time. Where the source fails, what came before the failure is still
 * written. @throws what the source or `write` throws; after a failed write the rest of the source is not read.
 */
export async function appendInBatches(
  source: AsyncIterable<Uint8Array>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let filling: Buffer | undefined
  let spare: Buffer | undefined
  let filled = 0
  let writing: Promise<void> = Promise.resolve()

  /** Waits for the batch before, then starts the one that is gathered. */
  async function flush(): Promise<void> {
    await writing
    if (filling === undefined || filled === 0) return
    const batch = filling
    writing = write(batch.subarray(0, filled))
    // It is awaited by the next flush: until then a failure must not count as unhandled.
    writing.catch(() => {})
    filling = spare
    spare = batch
    filled = 0
  }

  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; ) {
        filling ??= Buffer.allocUnsafeSlow(BATCH_BYTES)
        const part = chunk.subarray(at, at + BATCH_BYTES - filled)
        filling.set(part, filled)
        filled += part.length
        at += part.length
        if (filled === BATCH_BYTES) await flush()
      }
    }
  } finally {
    // What came before a cut is worth keeping: a resume goes on from there.
    await flush()
    await writing.finally(() => {
      for (const buffer of [filling, spare]) if (buffer !== undefined) giveBack(buffer)
    })
  }
}
