/**
 * Write-back that begins while bytes still arrive, so that the fsync at the end finds little left to write. One file at a
 * time: the threads that wait for the disk are few, and reads need them too.
 */
import type { FileHandle } from 'node:fs/promises'

export interface EarlySync {
  /**
   * Begins to write back what `file` has so far, unless a file is at it already. `before` is what an earlier call for this
   * file gave: once it was rejected, all that follow are. @returns when it is over, or undefined where it did not begin.
   */
  begin(file: Pick<FileHandle, 'datasync'>, before?: Promise<void>): Promise<void> | undefined
}

export function createEarlySync(): EarlySync {
  let isBusy = false

  async function run(file: Pick<FileHandle, 'datasync'>, before?: Promise<void>): Promise<void> {
    try {
      await before
      await file.datasync()
    } finally {
      isBusy = false
    }
  }

  return {
    begin: (file, before) => {
      if (isBusy) return undefined
      isBusy = true
      const syncing = run(file, before)
      // Who commits the file hears of a failure; of one that is given up nobody needs to.
      syncing.catch(() => {})
      return syncing
    },
  }
}
