/** The collector among the manifests of one repository: superseded ones, and what was pushed for their sake. */
import { durationText } from '../lib/duration.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Author } from '../record/author.ts'
import { visibleOf } from '../record/history.ts'
import type { PutRecord, RecordKey } from '../record/tag-record.ts'
import type { CollectedItem } from './collected-item.ts'
import type { CollectorRun } from './collector-run.ts'
import type { ContentRows } from './content-rows.ts'
import type { Transaction } from './index-db.ts'
import {
  ENTRY,
  MANIFEST,
  type ManifestRow,
  PARENT,
  pairKey,
  secondOf,
  TAG,
  UNUSED,
  type UnusedRow,
} from './index-tables.ts'
import { historyOf } from './ledger.ts'
import { isOrphan, type ManifestUse, manifestUse, subjectGone } from './manifest-use.ts'
import { deletionOf, type PublishDeps, publish } from './publish.ts'

/** What the collector must know to decide about records; undefined where there is no topology at hand. */
export interface Rights {
  readonly author: Author
  /** Whether this node may sign that a digest is gone. */
  isWriter(repository: RepositoryName): boolean
  /** Whether the topology asks this node for the key, tag or no tag. */
  isWanted(key: RecordKey, record: PutRecord): Promise<boolean>
}

export interface CollectManifestsDeps extends PublishDeps {
  readonly rows: ContentRows
  readonly rights: Rights | undefined
}

/** Rows read, and looked at, between two turns of the event loop. */
const PAGE = 64
/** Index in index, signature of a signature: each pass takes what the one before left without a reason to stay. */
const MAX_PASSES = 5

/** Looks at every manifest of the repository; afterwards `run` knows what the ones that stay name. */
export async function* collectManifests(
  deps: CollectManifestsDeps,
  run: CollectorRun,
  repository: RepositoryName,
): AsyncGenerator<CollectedItem> {
  run.beginRepository(repository)
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    let collected = 0
    for await (const page of run.pages(MANIFEST, repository, PAGE)) {
      const looks = await Promise.all(
        page.map(([key, row]) => look(deps, run, { repository, digest: digestOf(key), row })),
      )
      for (const item of looks) {
        if (item === undefined) continue
        if (item.isDue) collected += 1
        // What waits is told once, in the pass that finds it first.
        if (item.isDue || pass === 0) yield item
      }
    }
    if (collected === 0 || run.isDryRun) break
  }
  if (run.isDryRun) return
  for await (const page of run.pages(MANIFEST, repository, PAGE)) {
    for (const [key, row] of page) run.stays({ digest: digestOf(key), row })
  }
}

interface Found {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly row: ManifestRow
}

async function look(
  deps: CollectManifestsDeps,
  run: CollectorRun,
  found: Found,
): Promise<CollectedItem | undefined> {
  const { repository, digest, row } = found
  const isWanted = await isWantedByDigest(deps, run, found)
  const isEvicted = run.isEvicted(digest, repository)
  const use = manifestUse(run.index, repository, digest, { isWanted, isEvicted })
  const key = pairKey(repository, digest)
  const noted = run.index.get(UNUSED, key)
  // What is about a manifest that left has been unused for as long, unless something used it since.
  const left = noted === undefined ? subjectGone(run.index, key) : undefined
  if (use.kind === 'used') {
    if (run.isDryRun) run.stays(found)
    if (noted?.sinceMs !== undefined || left?.sinceMs !== undefined) await run.noteUsed(key)
    return undefined
  }
  const sinceMs = noted?.sinceMs ?? left?.sinceMs ?? run.now
  const dueAtMs = isEvicted ? run.now : sinceMs + run.graces.supersededMs
  const seen = { ...found, sinceMs, notedMs: noted?.sinceMs, isWanted }
  // What an index names goes after it, or somebody could see the index without a part of it.
  const isFirst = run.index.get(PARENT, key) === undefined
  const mayGo = dueAtMs <= run.now && !run.isBusy(digest, repository)
  const isDue = mayGo && (run.isDryRun || (isFirst && (await remove(deps, run, seen))))
  const reason = reasonOf(run, found, { use, noted, sinceMs })
  if (run.isDryRun && isDue) run.leaves(row)
  else if (run.isDryRun) run.stays(found)
  if (!isDue && noted?.sinceMs === undefined) await run.noteUnused(key, sinceMs)
  const item = { repository, name: digest, bytes: row.size, reason, dueAtMs, isDue }
  return run.explained({ kind: 'manifest', ...item })
}

/** One step for everyone else: looked at again, and gone, with what was said of it. */
function remove(
  deps: CollectManifestsDeps,
  run: CollectorRun,
  found: Found & {
    readonly sinceMs: number
    readonly notedMs: number | undefined
    readonly isWanted: boolean
  },
): Promise<boolean> {
  const { repository, digest, sinceMs, notedMs, isWanted } = found
  const key = pairKey(repository, digest)
  return run.index.transact((tx) => {
    const isFree = !run.isBusy(digest, repository) && tx.get(PARENT, key) === undefined
    if (!isFree || tx.get(MANIFEST, key) === undefined) return false
    const isEvicted = run.isEvicted(digest, repository)
    if (manifestUse(tx, repository, digest, { isWanted, isEvicted }).kind === 'used') return false
    // A tag showed it, and left it again, since it was looked at: its time begins anew.
    if (tx.get(UNUSED, key)?.sinceMs !== notedMs) return false
    if (!letGo(deps, tx, { repository, reference: digest })) return false
    return deps.rows.removeManifest(tx, repository, digest, { sinceMs })
  })
}

/**
 * Nothing may claim to hold it, and nobody may ask for it again. A writer says so to the mesh: its own records of digests
 * are what it would otherwise fetch back. @returns false where that cannot be said.
 */
function letGo(
  { rights, ...deps }: CollectManifestsDeps,
  tx: Transaction,
  key: RecordKey,
): boolean {
  const row = tx.get(ENTRY, pairKey(key.repository, key.reference))
  const history = historyOf(row)
  if (visibleOf(history) !== undefined && rights?.isWriter(key.repository) !== false) {
    if (rights === undefined) return false
    const signed = rights.author.sign(deletionOf(key, history), history)
    publish(deps, tx, signed, undefined)
    return true
  }
  if (row?.held !== undefined) {
    deps.ledger.hold(tx, key, undefined)
    tx.afterCommit(() => deps.events.emit({ kind: 'visible-changed', key }))
  }
  return true
}

/** Without a topology at hand, whatever was pushed by digest counts as asked for. */
async function isWantedByDigest(
  { rights }: CollectManifestsDeps,
  run: CollectorRun,
  { repository, digest }: Found,
): Promise<boolean> {
  const row = run.index.get(ENTRY, pairKey(repository, digest))
  if (row?.held === undefined) return false
  const record = visibleOf(historyOf(row))?.record
  if (record === undefined || rights === undefined) return rights === undefined
  return rights.isWanted({ repository, reference: digest }, record)
}

function reasonOf(
  run: CollectorRun,
  { repository, digest }: Found,
  {
    use,
    noted,
    sinceMs,
  }: {
    readonly use: ManifestUse & { readonly kind: 'unused' }
    readonly noted: UnusedRow | undefined
    readonly sinceMs: number
  },
): string {
  const kept = `kept for ${durationText(run.graces.supersededMs)}`
  // A tag leaves without a note of the time: it counts from the run that saw it first.
  const ageMs = run.now - sinceMs
  const age = ageMs > 0 ? `${durationText(ageMs)} ago` : 'just now'
  const found = `found ${age}, ${kept}`
  const tag = noted?.tags?.at(-1)
  if (tag !== undefined) {
    const shown = run.index.get(TAG, pairKey(repository, tag))
    if (shown === undefined) return `tag ${tag} was deleted; ${found}`
    return `superseded; ${found}; tag ${tag} shows ${shown.slice(0, 19)}.. now`
  }
  if (use.parent !== undefined) {
    return `part of index ${use.parent.slice(0, 19)}.. which nothing shows; ${found}`
  }
  if (use.subject !== undefined) {
    return `about ${use.subject.slice(0, 19)}.. which nothing shows; ${found}`
  }
  if (isOrphan(run.index, { repository, reference: digest }))
    return `what it belonged to is gone; ${found}`
  return `no tag, index or push by digest keeps it; ${found}`
}

function digestOf(key: string): Digest {
  return secondOf(key) as Digest
}
