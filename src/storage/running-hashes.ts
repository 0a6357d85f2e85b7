/**
 * Hashes of stages that are closed but not whole: the next chunk goes on hashing where the last one stopped, and a blob
 * that came in several requests is not read again at its end.
 */
import type { Hasher } from '../oci/digest.ts'
import type { StageName } from './blob-store.ts'

export interface RunningHashes {
  /** Hands over the hash of the stage's first `size` bytes; undefined when it is not known. */
  take(name: StageName, size: number): Hasher | undefined
  keep(name: StageName, size: number, hasher: Hasher): void
}

/** Hashes at once, under 1 KiB each: as many as there may be uploads. The oldest goes first; its blob is read once more. */
const MAX_HASHES = 1_000

export function createRunningHashes(): RunningHashes {
  const kept = new Map<StageName, { readonly size: number; readonly hasher: Hasher }>()
  return {
    take: (name, size) => {
      const row = kept.get(name)
      kept.delete(name)
      return row?.size === size ? row.hasher : undefined
    },
    keep: (name, size, hasher) => {
      kept.delete(name)
      kept.set(name, { size, hasher })
      const [oldest] = kept.keys()
      if (kept.size > MAX_HASHES && oldest !== undefined) kept.delete(oldest)
    },
  }
}
