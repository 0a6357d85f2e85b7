/** The collector among blobs: links that no manifest of their repository names, and files that no repository has. */
import { durationText } from '../lib/duration.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobLeases } from './blob-leases.ts'
import type { BlobStore } from './blob-store.ts'
import type { CollectedItem } from './collected-item.ts'
import type { CollectorRun } from './collector-run.ts'
import type { ContentRows } from './content-rows.ts'
import { BLOB, MANIFEST, pairKey, secondOf, UNUSED } from './index-tables.ts'

/** Rows read, and looked at, between two turns of the event loop. */
const PAGE = 64

/** Looks at every blob of the repository, after its manifests were looked at. */
export async function* collectLinks(
  { rows }: { readonly rows: ContentRows },
  run: CollectorRun,
  repository: RepositoryName,
): AsyncGenerator<CollectedItem> {
  for await (const page of run.pages(BLOB, repository, PAGE)) {
    const looks = await Promise.all(
      page.map(([key, { size }]) =>
        lookAtLink(rows, run, { repository, digest: secondOf(key) as Digest, size }),
      ),
    )
    for (const item of looks) if (item !== undefined) yield item
  }
}

interface Link {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly size: number
}

async function lookAtLink(
  rows: ContentRows,
  run: CollectorRun,
  { repository, digest, size }: Link,
): Promise<CollectedItem | undefined> {
  const key = pairKey(repository, digest)
  const { sinceMs: noted } = run.index.get(UNUSED, key) ?? {}
  // A manifest that was pushed as a blob too shares its row here: it has the say.
  const isManifest = run.index.get(MANIFEST, key) !== undefined
  if (run.isNamed(digest) || isManifest) {
    run.keepFile(digest)
    if (noted !== undefined && !isManifest) await run.noteUsed(key)
    return undefined
  }
  const sinceMs = noted ?? run.now
  const dueAtMs = run.isEvicted(digest, repository) ? run.now : sinceMs + run.graces.unusedMs
  const isDue =
    (dueAtMs <= run.now || run.isLeaving(digest)) &&
    !run.isBusy(digest, repository) &&
    (run.isDryRun ||
      (await run.index.transact(
        (tx) => !run.isBusy(digest, repository) && rows.removeBlob(tx, repository, digest),
      )))
  if (!isDue) run.keepFile(digest)
  if (!isDue && noted === undefined) await run.noteUnused(key)
  const reason = run.isLeaving(digest)
    ? 'only manifests that go name it'
    : `no manifest of the repository names it; found ${durationText(run.now - sinceMs)} ago, kept for ${durationText(run.graces.unusedMs)}`
  const item = { repository, name: digest, bytes: size, reason, dueAtMs, isDue }
  return run.explained({ kind: 'link', ...item })
}

export interface CollectFilesDeps {
  readonly blobs: BlobStore
  readonly leases: BlobLeases
  /** When the oldest job that is open was made: what came since may be its. Undefined without jobs. */
  readonly oldestJobMs: () => number | undefined
}

/** Looks at every file, after all repositories were looked at. Readers have theirs open: it is gone when they end. */
export async function* collectFiles(
  { blobs, leases, oldestJobMs }: CollectFilesDeps,
  run: CollectorRun,
): AsyncGenerator<CollectedItem> {
  for await (const digest of blobs.list()) {
    run.signal.throwIfAborted()
    if (run.isKept(digest)) continue
    const file = await blobs.written(digest)
    if (file === undefined) continue
    const isEvicted = run.isEvicted(digest)
    const dueAtMs = isEvicted ? run.now : file.atMs + run.graces.unusedMs
    // A job holds what it has found here; what it fetches is none of what was let go.
    const mayBeOfJob = !isEvicted && (oldestJobMs() ?? Number.POSITIVE_INFINITY) <= file.atMs
    const mayGo = dueAtMs <= run.now && !mayBeOfJob && !run.isBusy(digest)
    const isDue =
      mayGo &&
      (run.isDryRun ||
        (await leases.exclude(digest, async () => {
          // Whoever came before this one has left its mark; whoever comes now waits.
          return !run.isBusy(digest) && (await blobs.delete(digest))
        })) === true)
    const age = durationText(run.now - file.atMs)
    const reason = `no repository has it; written ${age} ago, kept for ${durationText(run.graces.unusedMs)}`
    yield run.explained({ kind: 'blob', name: digest, bytes: file.size, reason, dueAtMs, isDue })
  }
}
