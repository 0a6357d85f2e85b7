/**
 * Who uses which digest now: pushes and jobs hold it, readers touch it. The collector takes a digest only where nobody
 * holds it, alone: who comes meanwhile waits for the end and sees it absent. In this process only; nothing on disk.
 */
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import { createDigestFilter, type DigestFilter } from './digest-filter.ts'

export interface BlobLeases {
  /**
   * Holds the digests until the result is disposed of: from the look whether a blob is here to the row that names it.
   * Waits for a removal of one of them that is under way.
   */
  hold(digests: Iterable<Digest>): Promise<Disposable>
  isHeld(digest: Digest): boolean
  /** Somebody asked for it: whoever was told that it is here may count on it for a while. */
  touch(digest: Digest): void
  /** Whether it was touched within the last `keepMs`. Says yes for longer sometimes, never no too early. */
  isRecent(digest: Digest): boolean
  /** What is touched or held from now on, until it is disposed of. */
  watch(): Watch
  /** Runs `remove` alone; undefined where somebody holds the digest, or another removes it. */
  exclude<T>(digest: Digest, remove: () => Promise<T>): Promise<T | undefined>
}

export interface Watch extends Disposable {
  has(digest: Digest): boolean
}

/** Digests touched in one period, before wrong yeses become many: they cost space for a period, not content. 1 MiB each. */
const TOUCHED = 400_000

export interface BlobLeasesDeps {
  readonly clock: Clock
  readonly random: Random
}

export function createBlobLeases(
  { clock, random }: BlobLeasesDeps,
  { keepMs }: { readonly keepMs: number },
): BlobLeases {
  /** As many as pushes and jobs hold: bounded by those. */
  const holders = new Map<Digest, number>()
  const removals = new Map<Digest, Promise<unknown>>()
  const watches = new Set<DigestFilter>()
  const fresh = () => createDigestFilter({ random }, { expected: TOUCHED })
  /** Two periods, the one that runs and the one before: together they go back between one and two times `keepMs`. */
  let [current, before]: [DigestFilter | undefined, DigestFilter | undefined] = [
    undefined,
    undefined,
  ]
  let beganAtMs = clock.now()

  function turn(): void {
    const age = Math.abs(clock.now() - beganAtMs)
    if (age < keepMs) return
    before = age < 2 * keepMs ? current : undefined
    current = undefined
    beganAtMs = clock.now()
  }

  function touch(digest: Digest): void {
    for (const watch of watches) watch.add(digest)
    if (keepMs === 0) return
    turn()
    current ??= fresh()
    current.add(digest)
  }

  function release(digest: Digest): void {
    // What was held while a run began and is free before it ends must not look as if nobody had come.
    touch(digest)
    const left = (holders.get(digest) ?? 1) - 1
    if (left === 0) holders.delete(digest)
    else holders.set(digest, left)
  }

  return {
    hold: async (digests) => {
      const held = new Set(digests)
      for (const digest of held) {
        touch(digest)
        holders.set(digest, (holders.get(digest) ?? 0) + 1)
      }
      await Promise.allSettled([...held].flatMap((digest) => removals.get(digest) ?? []))
      return {
        [Symbol.dispose]: () => {
          for (const digest of held) release(digest)
          held.clear()
        },
      }
    },
    isHeld: (digest) => holders.has(digest),
    touch,
    isRecent: (digest) => {
      turn()
      return current?.has(digest) === true || before?.has(digest) === true
    },
    watch: () => {
      const seen = fresh()
      watches.add(seen)
      return {
        has: (digest) => seen.has(digest),
        [Symbol.dispose]: () => void watches.delete(seen),
      }
    },
    exclude: async (digest, remove) => {
      if (holders.has(digest) || removals.has(digest)) return undefined
      const removal = remove()
      removals.set(digest, removal)
      try {
        return await removal
      } finally {
        removals.delete(digest)
      }
    },
  }
}
