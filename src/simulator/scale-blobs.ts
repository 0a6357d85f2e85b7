/** Blobs of which only the size is kept: a thousand nodes with an image each need the memory of one. Manifests have bytes. */
import type { Clock } from '../lib/clock.ts'
import { algorithmOf, type Digest, digestOf, hexOf } from '../oci/digest.ts'
import type { BlobStore, Stage, StageName } from '../storage/blob-store.ts'
import { createMemoryBlobStore, createMemoryDisk } from '../storage/memory-blob-store.ts'

/** Sizes of all blobs without bytes, bytes. */
export type BlobSizes = ReadonlyMap<Digest, number>

export interface SizedBlobStore extends BlobStore {
  /** A client pushed it here. */
  hold(digest: Digest): void
}

export function createSizedBlobStore({
  clock,
  sizes,
}: {
  readonly clock: Clock
  readonly sizes: BlobSizes
}): SizedBlobStore {
  const bytes = createMemoryBlobStore({ clock, disk: createMemoryDisk() })
  /** When each was written, milliseconds. */
  const held = new Map<Digest, number>()
  const stages = new Map<StageName, { size: number; modifiedAtMs: number }>()
  const sizeOf = (digest: Digest) => (held.has(digest) ? sizes.get(digest) : undefined)

  function open(name: StageName): Stage {
    const row = stages.get(name) ?? { size: 0, modifiedAtMs: clock.now() }
    stages.set(name, row)
    return {
      name,
      get size() {
        return row.size
      },
      append: async (source) => {
        const before = row.size
        for await (const chunk of source) {
          row.size += chunk.length
          row.modifiedAtMs = clock.now()
        }
        return row.size - before
      },
      /** There are no bytes to hash: that all of them came is what is checked. */
      commit: async (digest) => {
        if (sizes.get(digest) !== row.size) {
          const actual = digestOf(
            Buffer.from(`${row.size} bytes of ${hexOf(digest)}`),
            algorithmOf(digest),
          )
          return { kind: 'mismatch', actual }
        }
        held.set(digest, clock.now())
        stages.delete(name)
        return { kind: 'stored', size: row.size }
      },
      discard: async () => void stages.delete(name),
      close: async () => {},
    }
  }

  return {
    ...bytes,
    hold: (digest) => void held.set(digest, clock.now()),
    stat: async (digest) => {
      const size = sizeOf(digest)
      return size === undefined ? bytes.stat(digest) : { size }
    },
    stage: async (name) => open(name),
    stages: async () => [...stages].map(([name, row]) => ({ name, ...row })),
    written: async (digest) => {
      const size = sizeOf(digest)
      return size === undefined ? bytes.written(digest) : { size, atMs: held.get(digest) ?? 0 }
    },
    delete: async (digest) => held.delete(digest) || bytes.delete(digest),
    list: async function* () {
      yield* held.keys()
      yield* bytes.list()
    },
  }
}
