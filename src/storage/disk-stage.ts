/** One stage on disk: appended in large writes, hashed on the way, renamed to its digest when it is whole. */
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import {
  algorithmOf,
  createHasher,
  type Digest,
  type DigestAlgorithm,
  type Hasher,
} from '../oci/digest.ts'
import type { Stage, StageName } from './blob-store.ts'

export interface DiskStageParts {
  readonly path: string
  readonly name: StageName
  /** Moves the finished file under its digest, durably. */
  readonly place: (path: string, digest: Digest) => Promise<void>
}

/** Small chunks are gathered into writes of this size, bytes: a write per 16 KiB of socket data costs more than the disk. */
const WRITE_BYTES = 1024 * 1024

export async function openDiskStage({ path, name, place }: DiskStageParts): Promise<Stage> {
  const file = await open(path, 'a')
  let size = (await file.stat()).size
  /** Of everything in the file; undefined where an earlier process wrote the beginning. */
  let hasher: Hasher | undefined = size === 0 ? createHasher('sha256') : undefined
  let isOpen = true

  async function close(): Promise<void> {
    if (!isOpen) return
    isOpen = false
    await file.close()
  }

  async function write(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(file, bytes)
      hasher?.update(bytes)
      size += bytes.length
    } catch (err) {
      // A part of it may be there (full disk): what is on disk counts, the running hash does not know it.
      hasher = undefined
      size = (await stat(path)).size
      throw err
    }
  }

  async function digest(algorithm: DigestAlgorithm): Promise<Digest> {
    if (algorithm === 'sha256' && hasher !== undefined) {
      const digested = hasher.digest()
      hasher = undefined
      return digested
    }
    const fresh = createHasher(algorithm)
    for await (const chunk of createReadStream(path, { highWaterMark: WRITE_BYTES })) {
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
      const buffer = Buffer.allocUnsafe(WRITE_BYTES)
      let filled = 0
      try {
        for await (const chunk of source) {
          signal?.throwIfAborted()
          for (let at = 0; at < chunk.length; ) {
            const part = chunk.subarray(at, at + WRITE_BYTES - filled)
            buffer.set(part, filled)
            filled += part.length
            at += part.length
            if (filled === WRITE_BYTES) {
              filled = 0
              await write(buffer)
            }
          }
        }
      } finally {
        // What came before a cut is worth keeping: a resume goes on from there.
        if (filled > 0) await write(buffer.subarray(0, filled))
      }
      return size - before
    },
    commit: async (wanted) => {
      const actual = await digest(algorithmOf(wanted))
      if (actual !== wanted) return { kind: 'mismatch', actual }
      await file.sync()
      await close()
      await place(path, wanted)
      return { kind: 'stored', size }
    },
    discard: async () => {
      await close()
      await rm(path, { force: true })
    },
    close,
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at)
    at += bytesWritten
  }
}
