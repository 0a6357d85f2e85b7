/** What the mesh changes here: pulled images become visible in one commit, deletes of a writer are applied. */
import type { EventBus } from '../events/event-bus.ts'
import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { keyText, type RecordKey } from '../record/tag-record.ts'
import type { BlobStore } from './blob-store.ts'
import type { ContentKeeper } from './content.ts'
import { type ContentRows, manifestRow } from './content-rows.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { ENTRY, MANIFEST, PARENT, pairKey, SHOWS } from './index-tables.ts'
import { historyOf, type Ledger } from './ledger.ts'

export interface ContentKeeperDeps {
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly rows: ContentRows
  readonly events: EventBus
}

export function createContentKeeper(deps: ContentKeeperDeps): ContentKeeper {
  const { index, blobs, ledger, rows, events } = deps

  /** Shows `digest` for the key if its newest record still says so. */
  function show(tx: Transaction, key: RecordKey, digest: Digest): boolean {
    const row = tx.get(ENTRY, keyText(key))
    if (visibleOf(historyOf(row))?.record.digest !== digest) return false
    if (row?.held?.digest === digest && row.held.coverage === 'all') return true
    ledger.hold(tx, key, { digest, coverage: 'all' })
    if (!isDigest(key.reference)) rows.putTag(tx, key.repository, key.reference, digest)
    tx.afterCommit(() => events.emit({ kind: 'visible-changed', key, digest }))
    return true
  }

  return {
    commitPulled: async ({ repository, manifests, references }) => {
      const root = manifests.at(-1)
      if (root === undefined) return
      for (const { digest, bytes } of manifests) await blobs.put(digest, bytes)
      await index.transact((tx) => {
        for (const { digest, bytes, manifest } of manifests) {
          rows.putManifest(tx, repository, digest, manifestRow(manifest, bytes.length))
        }
        for (const reference of references) show(tx, { repository, reference }, root.digest)
      })
    },

    show: (key) =>
      index.transact((tx) => {
        const digest = visibleOf(historyOf(tx.get(ENTRY, keyText(key))))?.record.digest
        if (digest === undefined) return false
        if (tx.get(MANIFEST, pairKey(key.repository, digest)) === undefined) return false
        return show(tx, key, digest)
      }),

    drop: (key) =>
      index.transact((tx) => {
        const { repository, reference } = key
        const row = tx.get(ENTRY, keyText(key))
        // Newer news may have come since the delete was planned.
        if (row === undefined || visibleOf(historyOf(row)) !== undefined) return
        if (isDigest(reference)) {
          const named = pairKey(repository, reference)
          const isNamed = tx.get(SHOWS, named) !== undefined || tx.get(PARENT, named) !== undefined
          if (!isNamed) rows.removeManifest(tx, repository, reference)
        }
        if (row.held === undefined) return
        ledger.hold(tx, key, undefined)
        if (!isDigest(reference)) rows.removeTag(tx, repository, reference)
        tx.afterCommit(() => events.emit({ kind: 'visible-changed', key }))
      }),

    isComplete: (repository, digest) =>
      index.get(MANIFEST, pairKey(repository, digest)) !== undefined,
  }
}
