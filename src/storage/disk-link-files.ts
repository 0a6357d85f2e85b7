/** Link files on disk: each is replaced as a whole; a batch makes every file and directory that it touched durable once. */
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { replaceFile, syncPath } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import type { LinkChange } from './index-tables.ts'
import type { LinkFiles } from './link-journal.ts'

/** Files written side by side: fsync waits, and many that wait share one commit of the file system's journal. */
const AT_ONCE = 8

export function createDiskLinkFiles({ directory }: { readonly directory: string }): LinkFiles {
  async function carryOut({ path: relative, ...change }: LinkChange): Promise<void> {
    const path = join(directory, relative)
    if (change.kind === 'remove') return rm(path, { recursive: true, force: true })
    await mkdir(dirname(path), { recursive: true })
    await replaceFile(path, change.digest, { isDurable: false })
  }

  /** What is gone was removed since: the directory above is made durable too. */
  async function syncIfThere(relative: string): Promise<void> {
    await syncPath(join(directory, relative)).catch((err: unknown) => {
      if (codeOf(err) !== 'ENOENT') throw err
    })
  }

  return {
    apply: async (changes) => {
      // Removing a tag removes what is below it, so a removal waits for what came before and holds up what follows.
      for (const run of runsOf(changes)) await inLanes(run, carryOut)
    },
    makeDurable: async (changes) => {
      const files = changes.filter(({ kind }) => kind === 'write').map(({ path }) => path)
      await inLanes([...new Set(files)], syncIfThere)
      await inLanes(
        [...new Set(changes.flatMap(({ path }) => directoriesAbove(path)))],
        syncIfThere,
      )
    },
  }
}

/** Each of them may be new. The data directory itself is not among them. */
function directoriesAbove(path: string): readonly string[] {
  const above: string[] = []
  for (let at = dirname(path); at !== '.'; at = dirname(at)) above.push(at)
  return above
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
