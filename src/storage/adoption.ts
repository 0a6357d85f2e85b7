/**
 * Adoption: a directory that another registry filled, or whose index is lost, gets its rows from what is on disk. It can
 * be cut off and begun again: what has a row is left alone. Nothing is signed here; a node does that once it has read what
 * its neighbours know.
 */
import { type AdoptionCounts, adoptRepository } from './adopt-repository.ts'
import { type AdoptedTags, noteUnsigned } from './adopted-tags.ts'
import type { BlobStore } from './blob-store.ts'
import { createContentRows } from './content-rows.ts'
import type { DamageReports } from './damage.ts'
import { type Finding, finding } from './finding.ts'
import type { IndexDb, Reads } from './index-db.ts'
import { META } from './index-tables.ts'
import { createLayoutScan } from './layout-scan.ts'
import type { Ledger } from './ledger.ts'
import type { LinkJournal } from './link-journal.ts'

export interface AdoptionDeps {
  /** The data directory. */
  readonly directory: string
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly links: LinkJournal
  readonly damage: DamageReports
  /** Keeps tags that a record knows otherwise; absent where the node's name is not known. */
  readonly adopted?: AdoptedTags
}

export interface AdoptionOptions {
  readonly signal: AbortSignal
  readonly onFinding: (finding: Finding) => void
  /** A person's word that manifests which cannot be read may go, and what only they name with them. */
  readonly leaveUnreadable?: boolean
}

/** What is on disk, and how much of it the index did not have. */
export interface Adoption {
  readonly repositories: number
  readonly found: AdoptionCounts
  readonly added: AdoptionCounts
  readonly findings: number
  /** False: some manifests cannot be read. The collector does not run until a person has decided. */
  readonly isDone: boolean
}

/** Of the row `adoption` in the table `meta`. */
const [OPEN, DONE] = [0, 1]

/**
 * Notes in an index that is new that the directory is to be adopted. To be called before anything writes to the index.
 * @returns whether there is something to adopt, or an adoption to go on with
 */
export async function prepareAdoption(index: IndexDb): Promise<boolean> {
  const isNew = index.get(META, 'feed') === undefined
  if (isNew) await index.transact((tx) => tx.put(META, 'adoption', { version: OPEN }))
  return isAdoptionOpen(index)
}

/** While it is open, a blob without a row may be one whose row is still to come. */
export function isAdoptionOpen(reads: Reads): boolean {
  return reads.get(META, 'adoption')?.version === OPEN
}

/** Kinds of findings behind which there are bytes that nothing names as long as they are not read. */
const UNREAD = new Set<Finding['kind']>([
  'manifest-unreadable',
  'manifest-missing',
  'blob-wrong-bytes',
])

export async function adopt(
  { directory, index, blobs, ledger, links, damage, adopted }: AdoptionDeps,
  { signal, onFinding, leaveUnreadable = false }: AdoptionOptions,
): Promise<Adoption> {
  await index.transact((tx) => {
    tx.put(META, 'adoption', { version: OPEN })
    noteUnsigned(tx)
  })
  // Links that an earlier commit has still to remove would bring back what is gone.
  await links.settled()
  const found = { manifests: 0, blobs: 0, tags: 0 }
  const added = { manifests: 0, blobs: 0, tags: 0 }
  let [repositories, findings, unread] = [0, 0, 0]
  const tell = (one: Finding) => {
    findings += 1
    if (UNREAD.has(one.kind)) unread += 1
    onFinding(one)
  }
  // The links of what is adopted are on disk: its rows are written without them.
  const rows = createContentRows({ ledger, links: { write: () => {}, remove: () => {} } })
  const scan = createLayoutScan({ directory })
  const store = { index, blobs, ledger, rows, links, damage, adopted }
  const deps = { ...store, scan, found, added, tell, signal }
  for await (const { name, path } of scan.repositories()) {
    if (name === undefined) {
      const came = path.split('/').slice(4).join('/')
      tell(finding('name-invalid', path, { expected: 'the name of a repository', came }))
      continue
    }
    repositories += 1
    await adoptRepository(deps, name)
  }
  const isDone = unread === 0 || leaveUnreadable
  if (isDone) await index.transact((tx) => tx.put(META, 'adoption', { version: DONE }))
  return { repositories, found, added, findings, isDone }
}
