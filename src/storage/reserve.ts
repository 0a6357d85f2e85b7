/**
 * The reserve: disk space that nothing but deletes, the collector and the index may use. On a full disk nothing could be
 * removed otherwise, for the index writes before it forgets. It is given up when it is needed, and made again from what that frees.
 */
import { open, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { fillFile } from '../lib/durable-file.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { BlobStore, Stage } from './blob-store.ts'

export interface Reserve extends AsyncDisposable {
  /** Makes it, in the background, where it is not there: as soon as the disk has room for it. */
  start(): void
  /** Frees its space for the index. @returns whether there was any */
  giveUp(): Promise<boolean>
  /** Before something that frees space: gives it up where the disk is full. */
  makeRoom(): Promise<void>
  /** Given up, or not made yet for want of space: the disk takes no content until it is there again. */
  isSpent(): boolean
}

/** Bytes: LevelDB needs 10 MiB to open after a failed write; the rest is for some ten thousand deletes. */
export const RESERVE_BYTES = 16 * 1024 * 1024
/** Bytes that must be free beside it before it is made again, or the next upload would take it at once. */
const BESIDE_BYTES = 8 * 1024 * 1024
/** Bytes below which a disk is full for the index: a log of 4 MiB begins a new one. */
const LOW_BYTES = 4 * 1024 * 1024
/** Milliseconds between two looks whether there is room again. */
const LOOK_MS = 5_000
/** Of a block in `stat`, whatever the file system's are (stat(2)). */
const STAT_BLOCK = 512

export interface ReserveDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/** Among the files of the index, which leaves it alone: the index may have a file system to itself. */
export function reservePath(indexDirectory: string): string {
  return join(indexDirectory, 'reserve')
}

/** `path`: a file on the file system of the index. */
export function createReserve(
  { clock, logger }: ReserveDeps,
  { path, bytes = RESERVE_BYTES }: { readonly path: string; readonly bytes?: number },
): Reserve {
  const stop = new AbortController()
  let isSpent = false
  let running: Promise<void> | undefined

  async function isThere(): Promise<boolean> {
    const found = await stat(path).catch(() => undefined)
    // Really allocated: what a crash cut short, or left as a hole, is no reserve.
    return found !== undefined && found.size >= bytes && found.blocks * STAT_BLOCK >= bytes
  }

  async function freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(path))
    return bavail * bsize
  }

  async function make(): Promise<void> {
    const file = await open(path, 'w', 0o600)
    try {
      await fillFile(file, bytes, { signal: stop.signal })
    } finally {
      await file.close()
    }
  }

  async function tryToMake(): Promise<boolean> {
    try {
      if (await isThere()) return true
      await rm(path, { force: true })
      if ((await freeBytes()) < bytes + BESIDE_BYTES) return false
      await make()
      return true
    } catch (err) {
      // A read-only disk, or one that filled up meanwhile. Half a reserve is none.
      await rm(path, { force: true }).catch(() => {})
      logger.debug({ err }, 'reserve not made')
      return false
    }
  }

  async function makeInTime(): Promise<void> {
    while (!stop.signal.aborted && !(await tryToMake())) {
      if (!isSpent) {
        isSpent = true
        const todo = 'free space there: delete images, entrepot gc takes what is due'
        logger.warn(
          { path, bytes, todo },
          'disk is full, it takes no content until there is a reserve',
        )
      }
      await clock.sleep(LOOK_MS, { signal: stop.signal }).catch(() => {})
    }
    if (stop.signal.aborted) return
    if (isSpent) logger.info({ bytes }, 'disk has room again')
    isSpent = false
  }

  function start(): void {
    running ??= makeInTime().finally(() => {
      running = undefined
    })
  }

  async function giveUp(): Promise<boolean> {
    if (!(await isThere())) return false
    await rm(path, { force: true })
    isSpent = true
    logger.warn(
      { path, bytes },
      'disk is full, its reserve is given up; it takes no content until space is freed',
    )
    start()
    return true
  }

  return {
    start,
    giveUp,
    makeRoom: async () => {
      const free = await freeBytes().catch(() => Number.POSITIVE_INFINITY)
      if (free < LOW_BYTES) await giveUp()
    },
    isSpent: () => isSpent,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}

/** The store, which takes no bytes while the reserve is spent: they would take the space that a delete needs. */
export function keepingReserve(blobs: BlobStore, { isSpent }: Pick<Reserve, 'isSpent'>): BlobStore {
  function refuse(): void {
    if (!isSpent()) return
    const message = 'the disk is full but for what deletes need; free space there'
    throw new EntrepotError('ENOSPC', message)
  }

  return {
    ...blobs,
    put: async (digest, bytes) => {
      refuse()
      await blobs.put(digest, bytes)
    },
    stage: async (name): Promise<Stage> => {
      const stage = await blobs.stage(name)
      return {
        name,
        get size() {
          return stage.size
        },
        append: async (source, options) => {
          refuse()
          return stage.append(source, options)
        },
        commit: (digest) => stage.commit(digest),
        discard: () => stage.discard(),
        close: () => stage.close(),
      }
    },
  }
}
