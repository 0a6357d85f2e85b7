/** What the mesh changes here: pulled images become visible in one commit, deletes of a writer are applied. */
import type { EventBus } from '../events/event-bus.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { conflictOf, type LoserTag } from '../record/losers.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import { coversPlatforms, hasPlatform, unitePlatforms } from '../topology/platforms.ts'
import type { Platforms } from '../topology/topology.ts'
import type { AdoptedTags } from './adopted-tags.ts'
import type { BlobLeases } from './blob-leases.ts'
import type { BlobStore } from './blob-store.ts'
import type { ContentKeeper } from './content.ts'
import { type ContentRows, manifestRow } from './content-rows.ts'
import type { Damage } from './damage.ts'
import type { IndexDb, Reads, Transaction } from './index-db.ts'
import {
  ASKED,
  BLOB,
  ENTRY,
  type EntryRow,
  KEPT,
  MANIFEST,
  PARENT,
  pairKey,
} from './index-tables.ts'
import { serveLosers } from './kept-losers.ts'
import { historyOf, type Ledger } from './ledger.ts'
import { isTagged } from './manifest-use.ts'

export interface ContentKeeperDeps {
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly rows: ContentRows
  readonly leases: Pick<BlobLeases, 'hold'>
  readonly damage: Pick<Damage, 'mended'>
  readonly adopted: AdoptedTags
  readonly events: EventBus
}

export function createContentKeeper(deps: ContentKeeperDeps): ContentKeeper {
  const { index, blobs, leases, ledger, rows, damage, adopted, events } = deps

  /** Shows `digest`, which is here for these platforms, for the key if its newest record still says so. */
  function show(tx: Transaction, key: RecordKey, digest: Digest, platforms: Platforms): boolean {
    const row = tx.get(ENTRY, keyText(key))
    if (visibleOf(historyOf(row))?.record.digest !== digest) return false
    const coverage = coverageOf(tx, key.repository, digest, { row, platforms })
    const asked = tx.get(ASKED, keyText(key))
    // What was asked for is here, or was replaced. `all` meant whatever may come, which is what came.
    const isOpen =
      asked?.digest === digest &&
      asked.platforms !== 'all' &&
      !coversPlatforms(coverage, asked.platforms)
    if (asked !== undefined && !isOpen) tx.delete(ASKED, keyText(key))
    if (row?.held?.digest === digest && isEqual(row.held.coverage, coverage)) return true
    if (row?.held?.digest !== digest) adopted.keep(tx, key.repository, key.reference, row?.held)
    ledger.hold(tx, key, { digest, coverage })
    if (!isDigest(key.reference)) rows.putTag(tx, key.repository, key.reference, digest)
    tx.afterCommit(() => events.emit({ kind: 'visible-changed', key, digest }))
    return true
  }

  return {
    commitPulled: async ({ repository, manifests, references, platforms = 'all' }) => {
      const root = manifests.at(-1)
      if (root === undefined) return
      const names = manifests.flatMap(({ digest, manifest }) => [
        digest,
        ...manifest.blobs.map((blob) => blob.digest),
      ])
      using _held = await leases.hold(names)
      for (const { digest, bytes } of manifests) await blobs.put(digest, bytes)
      await index.transact((tx) => {
        for (const { digest, bytes, manifest } of manifests) {
          rows.putManifest(tx, repository, digest, manifestRow(manifest, bytes.length))
          damage.mended(tx, digest)
        }
        for (const reference of references) {
          show(tx, { repository, reference }, root.digest, platforms)
        }
      })
    },

    show: (key, platforms = 'all') =>
      index.transact((tx) => {
        const digest = visibleOf(historyOf(tx.get(ENTRY, keyText(key))))?.record.digest
        if (digest === undefined) return false
        if (!isComplete(tx, key.repository, digest, platforms)) return false
        return show(tx, key, digest, platforms)
      }),

    drop: (key, { asReader = false, deletedBy } = {}) =>
      index.transact((tx) => {
        const { repository, reference } = key
        const row = tx.get(ENTRY, keyText(key))
        // Newer news may have come since the delete was planned; what was adopted has no record and no delete.
        if (row === undefined || row.records.length === 0) return
        const history = historyOf(row)
        if (visibleOf(history) !== undefined) return
        if (deletedBy !== undefined && history[0]?.id !== deletedBy) return
        if (isDigest(reference)) {
          // By a record, an index, or a tag that was adopted.
          const isNamed =
            isTagged(tx, repository, reference) ||
            tx.get(PARENT, pairKey(repository, reference)) !== undefined
          if (!isNamed) rows.removeManifest(tx, repository, reference)
        }
        if (row.held === undefined) return
        adopted.keep(tx, repository, reference, row.held)
        ledger.hold(tx, key, undefined)
        if (!isDigest(reference)) rows.removeTag(tx, repository, reference)
        if (asReader) rows.orphan(tx, repository, row.held.digest)
        tx.afterCommit(() => events.emit({ kind: 'visible-changed', key }))
      }),

    keepLosers: async (key, losers, platforms = 'all') => {
      if (losers.length === 0 && index.get(KEPT, keyText(key)) === undefined) return []
      return index.transact((tx) => {
        const row = tx.get(ENTRY, keyText(key))
        // Newer news may have come since it was planned.
        const lost = new Set(conflictOf(historyOf(row))?.losers.map(({ id }) => id))
        const isOwn = ({ tag: reference }: LoserTag) =>
          visibleOf(historyOf(tx.get(ENTRY, keyText({ ...key, reference })))) !== undefined
        const asked = losers.filter((one) => lost.has(one.recordId) && !isOwn(one))
        const isHere = ({ digest }: LoserTag) => isComplete(tx, key.repository, digest, platforms)
        const added = serveLosers(tx, key, asked.filter(isHere))
        if (added !== undefined) {
          // A new number: neighbours hear who holds it.
          ledger.hold(tx, key, row?.held)
          const { repository } = key
          tx.afterCommit(() => {
            for (const { tag: reference, digest } of added)
              events.emit({ kind: 'visible-changed', key: { repository, reference }, digest })
          })
        }
        return asked.filter((one) => !isHere(one))
      })
    },

    isComplete: (repository, digest, platforms = 'all') =>
      isComplete(index, repository, digest, platforms),
  }
}

/** What the key is complete for: with what it was complete for before, where it shows the same. */
function coverageOf(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  { row, platforms }: { readonly row: EntryRow | undefined; readonly platforms: Platforms },
): Platforms {
  if (platforms === 'all' || isComplete(reads, repository, digest)) return 'all'
  const before = row?.held?.digest === digest ? row.held.coverage : undefined
  return unitePlatforms(before, platforms) ?? platforms
}

function isEqual(a: Platforms, b: Platforms): boolean {
  return String(a) === String(b)
}

/** Index in index in index: deeper documents are not images. */
const MAX_DEPTH = 4

/**
 * With its children of these platforms: an adopted index may lack some of them, and a sparse manifest its blobs. A damaged blob
 * counts as here, it is repaired on its own.
 */
export function isComplete(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  platforms: Platforms = 'all',
  depth = 0,
): boolean {
  const row = reads.get(MANIFEST, pairKey(repository, digest))
  if (row === undefined || depth > MAX_DEPTH) return false
  const isHere = (blob: Descriptor) =>
    reads.get(BLOB, pairKey(repository, blob.digest)) !== undefined
  if (row.isSparse === true && !row.blobs.every(isHere)) return false
  return row.manifests.every(
    (child, at) =>
      !hasPlatform(platforms, row.platforms?.[at] || undefined) ||
      isComplete(reads, repository, child, platforms, depth + 1),
  )
}
