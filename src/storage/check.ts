/** What the passes of a verification share: the parts of the node, what was found so far, and what may be done about it. */
import { randomUUID } from 'node:crypto'
import { access, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { syncPath } from '../lib/durable-file.ts'
import { codeOf } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { AdoptionDeps } from './adoption.ts'
import type { ContentRows } from './content-rows.ts'
import type { DigestFilter } from './digest-filter.ts'
import type { Finding } from './finding.ts'
import { blobPath } from './layout.ts'
import type { LayoutScan } from './layout-scan.ts'
import type { LinkFiles } from './link-journal.ts'

export interface CheckDeps extends AdoptionDeps {
  readonly files: LinkFiles
  readonly clock: Clock
  readonly random: Random
}

export interface Outcome {
  /** What was done, for a person. */
  readonly repair: string
  /** Nothing of the damage is left. */
  readonly isWhole: boolean
}

export interface Check extends CheckDeps {
  readonly scan: LayoutScan
  /** Rows alone: their link files are there, or are written by the caller. */
  readonly rows: ContentRows
  readonly mustRepair: boolean
  readonly signal: AbortSignal
  readonly counts: { files: number; bytes: number; unclaimed: number }
  /** Blobs whose bytes are not whole: as many as are damaged, some 100 bytes each. */
  readonly bad: Set<Digest>
  /** Blobs that a repository has. */
  readonly claimed: DigestFilter
  /** Without an outcome nothing was done about it. */
  tell(finding: Finding, outcome?: Outcome): void
}

/** Bytes that may be all that is left of something stand here until a person removes them. */
const DAMAGED_PATH = 'entrepot/damaged'

/** Tells of a blob that is not whole, once, and moves its file out of the way in a repair. */
export async function tellOfBlob(check: Check, digest: Digest, one: Finding): Promise<void> {
  if (check.bad.has(digest)) return
  check.bad.add(digest)
  if (!check.mustRepair) return check.tell(one)
  const moved = await moveAside(check.directory, digest)
  const where = moved === undefined ? '' : `moved to ${moved}; `
  check.tell(one, { repair: `${where}noted: a node fetches it again`, isWhole: false })
}

/** @returns where it is now, relative to the data directory; undefined where there was no file. */
async function moveAside(directory: string, digest: Digest): Promise<string | undefined> {
  const from = join(directory, blobPath(digest))
  await mkdir(join(directory, DAMAGED_PATH), { recursive: true, mode: 0o700 })
  const plain = `${DAMAGED_PATH}/${digest}`
  const isTaken = await access(join(directory, plain)).then(
    () => true,
    () => false,
  )
  const path = isTaken ? `${plain}.${randomUUID()}` : plain
  try {
    await rename(from, join(directory, path))
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return undefined
    throw err
  }
  await syncPath(join(directory, DAMAGED_PATH))
  await syncPath(dirname(from))
  return path
}
