/** The BlobStore in memory: for tests and simulations. What a crash keeps is the `MemoryDisk`. */
import { Readable } from 'node:stream'
import { abortable } from '../lib/abortable.ts'
import type { Clock } from '../lib/clock.ts'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { type BlobStore, ONE_CALL_PREFIX, type Stage, type StageName } from './blob-store.ts'
import { verify } from './verify.ts'

/** Bytes that outlive a store: a second store over the same disk is a restart. */
export interface MemoryDisk {
  readonly blobs: Map<Digest, Uint8Array>
  /** Milliseconds since the Unix epoch; a blob without one is as old as can be. */
  readonly writtenAtMs: Map<Digest, number>
  readonly stages: Map<StageName, { bytes: Uint8Array; modifiedAtMs: number }>
}

export function createMemoryDisk(): MemoryDisk {
  return { blobs: new Map(), writtenAtMs: new Map(), stages: new Map() }
}

export interface MemoryBlobStoreDeps {
  readonly clock: Clock
  readonly disk: MemoryDisk
}

export function createMemoryBlobStore({ clock, disk }: MemoryBlobStoreDeps): BlobStore {
  const { blobs, writtenAtMs, stages } = disk

  function place(digest: Digest, bytes: Uint8Array): void {
    blobs.set(digest, bytes)
    writtenAtMs.set(digest, clock.now())
  }

  function open(name: StageName): Stage {
    const row = stages.get(name) ?? { bytes: new Uint8Array(), modifiedAtMs: clock.now() }
    stages.set(name, row)
    return {
      name,
      get size() {
        return row.bytes.length
      },
      append: async (source, { signal } = {}) => {
        const before = row.bytes.length
        for await (const chunk of signal === undefined ? source : abortable(source, signal)) {
          row.bytes = Buffer.concat([row.bytes, chunk])
          row.modifiedAtMs = clock.now()
        }
        return row.bytes.length - before
      },
      commit: async (digest) => {
        const actual = digestOf(row.bytes, algorithmOf(digest))
        if (actual !== digest) return { kind: 'mismatch', actual }
        place(digest, row.bytes)
        stages.delete(name)
        return { kind: 'stored', size: row.bytes.length }
      },
      discard: async () => void stages.delete(name),
      close: async () => {},
    }
  }

  return {
    stat: async (digest) => {
      const bytes = blobs.get(digest)
      return bytes && { size: bytes.length }
    },
    read: async (digest, range) => {
      const bytes = blobs.get(digest)
      return bytes && Readable.from([bytes.subarray(range?.start, range?.end)])
    },
    readAll: async (digest) => blobs.get(digest),
    pathOf: () => undefined,
    stage: async (name) => open(name),
    stages: async () =>
      [...stages]
        .filter(([name]) => !name.startsWith(ONE_CALL_PREFIX))
        .map(([name, { bytes, modifiedAtMs }]) => ({ name, size: bytes.length, modifiedAtMs })),
    put: async (digest, bytes) => {
      verify(digest, bytes)
      place(digest, bytes)
    },
    written: async (digest) => {
      const bytes = blobs.get(digest)
      return bytes && { size: bytes.length, atMs: writtenAtMs.get(digest) ?? 0 }
    },
    delete: async (digest) => {
      writtenAtMs.delete(digest)
      return blobs.delete(digest)
    },
    list: async function* () {
      yield* blobs.keys()
    },
  }
}
