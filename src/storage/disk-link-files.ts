/** Link files on disk: each is replaced as a whole; the last change of a path in a batch is the one that counts. */
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncDirectory, writeDurably } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import type { LinkChange } from './index-tables.ts'
import type { LinkFiles } from './link-journal.ts'

/** Files written side by side: fsync waits, and many waits overlap. */
const AT_ONCE = 8

export function createDiskLinkFiles({ directory }: { readonly directory: string }): LinkFiles {
  async function carryOut(change: LinkChange): Promise<void> {
    const path = join(directory, change.path)
    if (change.kind === 'write') {
      await writeDurably(path, change.digest)
      return
    }
    await rm(path, { recursive: true, force: true })
    await syncDirectory(dirname(path)).catch((err: unknown) => {
      if (codeOf(err) !== 'ENOENT') throw err
    })
  }

  return {
    apply: async (changes) => {
      // Removing a tag removes what is below it, so a removal waits for what came before and holds up what follows.
      for (const run of runsOf(changes)) {
        const left = [...run]
        const lane = async () => {
          for (let change = left.shift(); change !== undefined; change = left.shift()) {
            await carryOut(change)
          }
        }
        await Promise.all(Array.from({ length: AT_ONCE }, lane))
      }
    },
  }
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
    if (change.kind === 'write') writes.set(change.path, change)
    else {
      flush()
      runs.push([change])
    }
  }
  flush()
  return runs
}
