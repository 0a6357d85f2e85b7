/** Every blob file is read and hashed, a few at a time; whose it is does not matter here. */
import { messageOf } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { type Check, tellOfBlob } from './check.ts'
import { finding } from './finding.ts'
import { blobPath } from './layout.ts'
import { digestOnDisk } from './verify.ts'

/** Files hashed side by side: two keep a disk and a processor busy, more make a spinning disk seek. */
const AT_ONCE = 2

export async function verifyFiles(check: Check): Promise<void> {
  const files = check.blobs.list()[Symbol.asyncIterator]()
  const lane = async () => {
    for (;;) {
      check.signal.throwIfAborted()
      const next = await files.next()
      if (next.done === true) return
      await verifyFile(check, next.value)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

async function verifyFile(check: Check, digest: Digest): Promise<void> {
  const { blobs, counts, claimed, bad, signal } = check
  const size = (await blobs.stat(digest))?.size
  // Moved out of the way, or told of by its size.
  if (size === undefined || bad.has(digest)) return
  counts.files += 1
  counts.bytes += size
  if (!claimed.has(digest)) counts.unclaimed += 1
  const came = await digestOnDisk(blobs, digest, { signal }).catch((err: unknown) => {
    signal.throwIfAborted()
    return `a read that failed: ${messageOf(err)}`
  })
  if (came === digest || came === undefined) return
  await tellOfBlob(
    check,
    digest,
    finding('blob-wrong-bytes', blobPath(digest), { expected: digest, came }),
  )
}
