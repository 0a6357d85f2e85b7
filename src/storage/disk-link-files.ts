/** Link files on disk: each is replaced as a whole; a batch makes every directory that it touches durable once. */
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeDirectory, replaceFile, syncDirectory } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import type { LinkChange } from './index-tables.ts'
import type { LinkFiles } from './link-journal.ts'

/** Files written side by side: fsync waits, and many that wait share one commit of the file system's journal. */
const AT_ONCE = 8

export function createDiskLinkFiles({ directory }: { readonly directory: string }): LinkFiles {
  /** Directories in which names came or went; those of a batch that failed are here until a later one succeeds. */
  const touched = new Set<string>()

  async function carryOut(change: LinkChange): Promise<void> {
    const path = join(directory, change.path)
    if (change.kind === 'remove') {
      touched.add(dirname(path))
      await rm(path, { recursive: true, force: true })
      return
    }
    for (const parent of await makeDirectory(dirname(path))) touched.add(parent)
    touched.add(dirname(path))
    await replaceFile(path, change.digest)
  }

  async function makeNamesDurable(): Promise<void> {
    await inLanes([...touched], async (path) => {
      await syncDirectory(path).catch((err: unknown) => {
        // It was removed itself: the directory above is among these.
        if (codeOf(err) !== 'ENOENT') throw err
      })
      touched.delete(path)
    })
  }

  return {
    apply: async (changes) => {
      // Removing a tag removes what is below it, so a removal waits for what came before and holds up what follows.
      for (const run of runsOf(changes)) await inLanes(run, carryOut)
      await makeNamesDurable()
    },
  }
}

/** @throws the first failure, when nothing is under way any more. */
async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const lane = async () => {
    for (const item of left) await work(item)
  }
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane))
  const failed = ended.find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** Groups whose members may be carried out side by side: runs of writes to different paths, and single removals. */
function runsOf(changes: readonly LinkChange[]): readonly (readonly LinkChange[])[] {
  const runs: LinkChange[][] = []
  let writes = new Map<string, LinkChange>()
  const flush = () => {
    if (writes.size > 0) runs.push([...writes.values()])
    writes = new Map()
  }
  for (const change of changes) {
    // The last write of a path is the one that counts.
    if (change.kind === 'write') writes.set(change.path, change)
    else {
      flush()
      runs.push([change])
    }
  }
  flush()
  return runs
}
