/** One run of the collector: its time, what it has seen in use so far, and who must not be disturbed. */
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobLeases, Watch } from './blob-leases.ts'
import type { CollectedItem, Graces } from './collected-item.ts'
import { createDigestFilter, type DigestFilter } from './digest-filter.ts'
import type { IndexDb, Table } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { endOf, type ManifestRow, pairKey, REPOSITORY, UNUSED } from './index-tables.ts'
import { subjectGone } from './manifest-use.ts'

export interface CollectorRun extends Disposable {
  readonly index: IndexDb
  readonly graces: Graces
  readonly isDryRun: boolean
  /** Aborted when the node stops: a run that is cut off is no loss, the next one begins again. */
  readonly signal: AbortSignal
  /** When it began, milliseconds since the Unix epoch. */
  readonly now: number
  /** Somebody holds the digest, asked for it a short while ago, or since this run began: what was seen before says nothing. */
  isBusy(digest: Digest, repository?: RepositoryName): boolean
  /** The repository's one goes now, whatever the graces say, where nothing uses it. Without a repository: the file. */
  isEvicted(digest: Digest, repository?: RepositoryName): boolean
  /** What the manifests of a repository name is noted anew from here on. */
  beginRepository(repository: RepositoryName): void
  /** The manifest stays, and all that it names. */
  stays(manifest: { readonly digest: Digest; readonly row: ManifestRow }): void
  /** A dry run: the manifest would be gone by the time that its blobs are looked at. */
  leaves(row: ManifestRow): void
  /** Whether a manifest of the repository that stays names the blob. */
  isNamed(digest: Digest): boolean
  isLeaving(digest: Digest): boolean
  /** The repository keeps the blob: its file stays. */
  keepFile(digest: Digest): void
  isKept(digest: Digest): boolean
  /** Rows of a table, page by page; of one repository, where one is given. */
  pages<V>(
    table: Table<V>,
    repository: RepositoryName,
    limit: number,
  ): AsyncGenerator<readonly (readonly [string, V])[]>
  /** The item, with what keeps it although its time has come. */
  explained(item: CollectedItem): CollectedItem
  /** Its time begins, now or at `sinceMs`, or ends. Nothing is written in a dry run. */
  noteUnused(key: string, sinceMs?: number): Promise<void>
  noteUsed(key: string): Promise<void>
}

/** What goes at once, by repository: graces of other repositories that have the same content are not touched. */
export type Evicted = ReadonlyMap<RepositoryName, ReadonlySet<Digest>>

export interface CollectorRunDeps {
  readonly index: IndexDb
  readonly leases: BlobLeases
  readonly random: Random
}

/** Blobs of a manifest, config among them, for which the filter of a repository has room; more only cost some wrong yeses. */
const BLOBS_EACH = 25
/** Blobs of a node for which the filter of files has room: as many as the largest filter takes. */
const FILES = 3_000_000

export function beginRun(
  { index, leases, random }: CollectorRunDeps,
  {
    graces,
    isDryRun,
    now,
    signal,
    evicted,
  }: Pick<CollectorRun, 'graces' | 'isDryRun' | 'now' | 'signal'> & {
    readonly evicted?: Evicted | undefined
  },
): CollectorRun {
  const watch: Watch = leases.watch()
  const kept = createDigestFilter({ random }, { expected: FILES })
  let named: DigestFilter | undefined
  let leaving: DigestFilter | undefined
  const isEvicted = (digest: Digest, repository?: RepositoryName): boolean => {
    if (evicted === undefined) return false
    if (repository !== undefined) return evicted.get(repository)?.has(digest) === true
    return evicted.values().some((digests) => digests.has(digest))
  }

  return {
    index,
    graces,
    isDryRun,
    now,
    signal,
    isBusy: (digest, repository) =>
      leases.isHeld(digest) ||
      watch.has(digest) ||
      (!isEvicted(digest, repository) && leases.isRecent(digest)),
    isEvicted,
    beginRepository: (repository) => {
      const { manifests } = index.get(REPOSITORY, repository) ?? { manifests: 0 }
      const expected = manifests * BLOBS_EACH
      named = createDigestFilter({ random }, { expected })
      leaving = isDryRun ? createDigestFilter({ random }, { expected }) : undefined
    },
    stays: ({ digest, row }) => {
      kept.add(digest)
      for (const blob of row.blobs) named?.add(blob.digest)
    },
    leaves: ({ blobs }) => {
      for (const { digest } of blobs) leaving?.add(digest)
    },
    isNamed: (digest) => named?.has(digest) === true,
    isLeaving: (digest) => leaving?.has(digest) === true,
    keepFile: (digest) => kept.add(digest),
    isKept: (digest) => kept.has(digest),
    pages: async function* (table, repository, limit) {
      const range = { after: pairKey(repository, ''), below: endOf(repository), limit }
      for await (const page of pagesOf(index, table, range)) {
        signal.throwIfAborted()
        yield page
      }
    },
    explained: (item) => {
      if (item.isDue || item.dueAtMs > now) return item
      return { ...item, reason: `${item.reason}; in use now, or a short while ago` }
    },
    noteUnused: async (key, sinceMs = now) => {
      if (isDryRun) return
      await index.transact((tx) => {
        const row = tx.get(UNUSED, key)
        if (row?.sinceMs === undefined) tx.put(UNUSED, key, { ...row, sinceMs })
      })
    },
    noteUsed: async (key) => {
      if (isDryRun) return
      await index.transact((tx) => {
        const { sinceMs: _ended, ...rest } = tx.get(UNUSED, key) ?? {}
        // An empty row says that it was used after what it is about had left: its time does not go back to then.
        const isAboutGone = subjectGone(tx, key) !== undefined
        if (Object.keys(rest).length === 0 && !isAboutGone) tx.delete(UNUSED, key)
        else tx.put(UNUSED, key, rest)
      })
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  }
}
