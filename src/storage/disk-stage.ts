/** One stage on disk: appended in large writes, hashed on the way, renamed to its digest when it is whole. */
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { abortable } from '../lib/abortable.ts'
import {
  algorithmOf,
  createHasher,
  type Digest,
  type DigestAlgorithm,
  type Hasher,
} from '../oci/digest.ts'
import { appendInBatches } from './batched-append.ts'
import type { Stage, StageName } from './blob-store.ts'
import type { EarlySync } from './early-sync.ts'
import type { RunningHashes } from './running-hashes.ts'

export interface DiskStageParts {
  readonly path: string
  readonly name: StageName
  /** Moves the file under its digest, durably, once `written` says that its bytes are. */
  readonly place: (path: string, digest: Digest, written: Promise<void>) => Promise<void>
  readonly hashes: RunningHashes
  readonly earlySync: EarlySync
}

/** Bytes of one read where a stage is hashed from the disk: as large as the writes. */
const READ_BYTES = 1024 * 1024

/** Bytes from which on a write-back pays: some 10 ms of a disk, and few enough to be left for the last fsync. */
const SYNC_BYTES = 8 * 1024 * 1024

export async function openDiskStage(parts: DiskStageParts): Promise<Stage> {
  const { path, name, place, hashes, earlySync } = parts
  const file = await open(path, 'a')
  let size = (await file.stat()).size
  /** Of everything in the file; undefined where an earlier process wrote the beginning. */
  let hasher: Hasher | undefined =
    hashes.take(name, size) ?? (size === 0 ? createHasher('sha256') : undefined)
  let isOpen = true
  /** The write-backs that began early, the last one under way; and where the file ended then. */
  let syncing: Promise<void> | undefined
  let syncedAt = size

  async function close(): Promise<void> {
    if (!isOpen) return
    isOpen = false
    // A file is not closed under a call that uses it.
    await syncing?.catch(() => {})
    await file.close()
  }

  async function write(bytes: Uint8Array): Promise<void> {
    try {
      const writing = writeAll(file, bytes)
      // Hashed on this thread while the disk's thread writes.
      hasher?.update(bytes)
      await writing
      size += bytes.length
      syncEarly()
    } catch (err) {
      // A part of it may be there (full disk): what is on disk counts, the running hash does not know it.
      hasher = undefined
      size = (await stat(path)).size
      throw err
    }
  }

  function syncEarly(): void {
    if (size - syncedAt < SYNC_BYTES) return
    const begun = earlySync.begin(file, syncing)
    if (begun === undefined) return
    syncedAt = size
    syncing = begun
  }

  /** The kernel tells once of bytes that it could not write: an early write-back that failed is the commit's failure. */
  async function sync(): Promise<void> {
    await syncing
    await file.sync()
  }

  async function digest(algorithm: DigestAlgorithm): Promise<Digest> {
    if (algorithm === 'sha256' && hasher !== undefined) {
      const digested = hasher.digest()
      hasher = undefined
      return digested
    }
    const fresh = createHasher(algorithm)
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
      fresh.update(chunk as Uint8Array)
    }
    return fresh.digest()
  }

  return {
    name,
    get size() {
      return size
    },
    append: async (source, { signal } = {}) => {
      const before = size
      await appendInBatches(signal === undefined ? source : abortable(source, signal), write)
      return size - before
    },
    commit: async (wanted) => {
      const actual = await digest(algorithmOf(wanted))
      if (actual !== wanted) return { kind: 'mismatch', actual }
      await place(path, wanted, sync())
      await close()
      return { kind: 'stored', size }
    },
    discard: async () => {
      await close()
      await rm(path, { force: true })
    },
    close: async () => {
      if (!isOpen) return
      await close()
      if (hasher !== undefined && size > 0) hashes.keep(name, size, hasher)
    },
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at)
    at += bytesWritten
  }
}
