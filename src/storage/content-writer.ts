/** A writer's changes: pushed by its clients, signed by the node, one durable commit each. */
import type { EventBus } from '../events/event-bus.ts'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { type Descriptor, parseManifest } from '../oci/manifest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import type { Author } from '../record/author.ts'
import { visibleOf } from '../record/history.ts'
import type { PutRecord, RecordKey, SignedRecord } from '../record/tag-record.ts'
import type { BlobLeases } from './blob-leases.ts'
import type { BlobStore } from './blob-store.ts'
import type { ContentWriter, PushedManifest } from './content.ts'
import { isComplete } from './content-keeper.ts'
import { type ContentRows, manifestRow } from './content-rows.ts'
import type { Damage } from './damage.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { membersIn, sizeOf } from './index-sets.ts'
import {
  BLOB,
  ENTRY,
  HOLDS,
  LOST,
  MANIFEST,
  PARENT,
  pairKey,
  REPOSITORY,
  SHOWS,
} from './index-tables.ts'
import { historyOf, type Ledger } from './ledger.ts'
import { refuseLoser, refuseLoserTag } from './loser-tags.ts'
import { manifestNaming } from './manifest-naming.ts'
import { deletionOf, publish } from './publish.ts'
import { missingOf, refuseMissing, refuseWrongSizes, sizesOf } from './pushed-parts.ts'
import { isShowing, tagsShowing } from './tags-showing.ts'

export const SPARSE_POLICIES = ['accept', 'refuse'] as const
export type SparsePolicy = (typeof SPARSE_POLICIES)[number]

export interface ContentWriterDeps {
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly rows: ContentRows
  readonly author: Author
  readonly leases: Pick<BlobLeases, 'hold'>
  readonly damage: Pick<Damage, 'has' | 'report' | 'mended'>
  readonly events: EventBus
  /** Before what frees space: the disk may be full. */
  readonly makeRoom?: (() => Promise<void>) | undefined
  /** Whether manifests are taken whose blobs or manifests are not here. */
  readonly sparse: SparsePolicy
  /** Whether a tag of the repository may be moved once it exists. */
  readonly tagsMayMove: (repository: RepositoryName) => boolean
}

/** Tags deleted in one commit, a signature each: some 20 ms. Those of a manifest with more go in several, and the manifest in the last. */
const TAGS_AT_ONCE = 128

export function createContentWriter(deps: ContentWriterDeps): ContentWriter {
  const { index, blobs, leases, rows, author, damage, sparse, makeRoom } = deps

  /** Signs and shows a pushed manifest, unless the key says exactly that already. */
  function announce(
    tx: Transaction,
    key: RecordKey,
    facts: Omit<PutRecord, 'realm' | 'time' | 'seen'>,
  ): void {
    const row = tx.get(ENTRY, pairKey(key.repository, key.reference))
    const history = historyOf(row)
    const shown = visibleOf(history)?.record.digest
    const { digest } = facts
    const coverage = isComplete(tx, key.repository, digest) ? 'all' : []
    const isSettled =
      history.length === 1 &&
      row?.held?.digest === digest &&
      (row.held.coverage === 'all') === (coverage === 'all')
    if (shown === digest && isSettled) return
    const signed = sign(() => author.sign(facts, history))
    publish(deps, tx, signed, { digest, coverage })
    if (!isDigest(key.reference)) rows.putTag(tx, key.repository, key.reference, facts.digest)
  }

  function withdraw(tx: Transaction, key: RecordKey): void {
    const history = historyOf(tx.get(ENTRY, pairKey(key.repository, key.reference)))
    publish(
      deps,
      tx,
      sign(() => author.sign(deletionOf(key, history), history)),
      undefined,
    )
    if (!isDigest(key.reference)) rows.removeTag(tx, key.repository, key.reference)
  }

  function linkStored(
    tx: Transaction,
    repository: RepositoryName,
    blob: Pick<Descriptor, 'digest' | 'size'>,
  ): void {
    rows.putBlob(tx, repository, blob)
    // An upload was verified and has replaced the file; a mount sees a damaged blob as absent.
    damage.mended(tx, blob.digest)
  }

  return {
    pushManifest: async (push: PushedManifest) => {
      const { repository, reference, tags = [], mediaType, bytes } = push
      const digest = digestOf(bytes, isDigest(reference) ? algorithmOf(reference) : 'sha256')
      if (isDigest(reference) && reference !== digest) {
        const message = `the manifest's digest is ${digest}, pushed as ${reference}`
        throw new OciError('DIGEST_INVALID', { message })
      }
      const parse = parseManifest(bytes, mediaType)
      if (parse.kind === 'invalid')
        throw new OciError('MANIFEST_INVALID', { message: parse.reason })
      const { manifest } = parse
      // From here to the row that names them: the collector must not come between.
      using _held = await leases.hold([
        digest,
        ...[...manifest.blobs, ...manifest.manifests].map((one) => one.digest),
      ])
      await blobs.put(digest, bytes)
      const sizes = await sizesOf(deps, repository, manifest.blobs)
      await index.transact((tx) => {
        const references = new Set([reference, ...tags])
        const { missing, isSparse } = missingOf(tx, repository, manifest, sizes)
        if (sparse === 'refuse') refuseMissing(repository, missing)
        refuseWrongSizes(manifest, sizes)
        for (const one of references) {
          refuseMovedTag(deps, tx, { repository, reference: one }, digest)
          refuseLoserTag(tx, { repository, reference: one })
        }
        const row = manifestRow(manifest, bytes.length)
        rows.putManifest(tx, repository, digest, isSparse ? { ...row, isSparse } : row)
        if (isDigest(reference)) rows.keepByDigest(tx, repository, digest)
        damage.mended(tx, digest)
        const { subject, mediaType: type } = manifest
        const facts = { kind: 'put', repository, digest, size: bytes.length } as const
        const about = subject === undefined ? {} : { subject }
        for (const one of references) {
          const key = { repository, reference: one }
          announce(tx, key, { ...facts, reference: one, mediaType: type, ...about })
        }
      })
      const { subject } = manifest
      return subject === undefined ? { digest } : { digest, subject }
    },

    linkBlob: async (repository, digest) => {
      using _held = await leases.hold([digest])
      const stat = await blobs.stat(digest)
      if (stat === undefined) throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
      await index.transact((tx) => linkStored(tx, repository, { digest, size: stat.size }))
    },

    linkUpload: async (repository, blob, alongside) => {
      const { digest, size: sizeBytes } = blob
      await index.transact((tx) => {
        const isNew = tx.get(BLOB, pairKey(repository, digest)) === undefined
        linkStored(tx, repository, blob)
        alongside(tx)
        if (isNew)
          tx.afterCommit(() => deps.events.emit({ kind: 'blob-uploaded', digest, sizeBytes }))
      })
    },

    deleteTag: async (repository, tag) => {
      await makeRoom?.()
      return index.transact((tx) => {
        const key = { repository, reference: tag }
        const row = tx.get(ENTRY, pairKey(repository, tag))
        if (row?.held === undefined && visibleOf(historyOf(row)) === undefined) {
          refuseLoserTag(tx, key)
          return false
        }
        withdraw(tx, key)
        return true
      })
    },

    deleteManifest: async (repository, digest) => {
      await makeRoom?.()
      const key = pairKey(repository, digest)
      for (;;) {
        const holding = sizeOf(index, HOLDS, key)
        const [lost] = await membersIn(index, LOST, key, { limit: 1 })
        const tags = await tagsShowing(index, repository, digest, { limit: TAGS_AT_ONCE })
        const outcome = await index.transact((tx) => {
          if (tx.get(MANIFEST, key) === undefined) return false
          refuseLoser(tx, repository, digest, lost)
          // A tag that came while they were looked for may show it: look again.
          if (sizeOf(tx, HOLDS, key) !== holding) return 'again'
          for (const tag of tags) {
            if (isShowing(tx, repository, digest, tag)) withdraw(tx, { repository, reference: tag })
          }
          if (tags.length === TAGS_AT_ONCE || sizeOf(tx, SHOWS, key) > 0) return 'again'
          withdraw(tx, { repository, reference: digest })
          // An index that is served here needs its children: the delete is known, the bytes stay.
          if (tx.get(PARENT, key) === undefined) rows.removeManifest(tx, repository, digest)
          return true
        })
        if (outcome !== 'again') return outcome
      }
    },

    unlinkBlob: async (repository, digest) => {
      await makeRoom?.()
      for (;;) {
        const before = index.get(REPOSITORY, repository)?.changes
        const user = await manifestNaming(index, repository, digest)
        if (user !== undefined) {
          const message = `manifest ${user} names this blob; delete the manifest first`
          throw new OciError('DENIED', { message })
        }
        const outcome = await index.transact((tx) => {
          // A manifest that came while the others were looked through may name the blob: look again.
          if (tx.get(REPOSITORY, repository)?.changes !== before) return 'again'
          return rows.removeBlob(tx, repository, digest)
        })
        if (outcome !== 'again') return outcome
      }
    },
  }
}

function sign(make: () => SignedRecord): SignedRecord {
  try {
    return make()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new OciError('MANIFEST_INVALID', { message: `cannot be announced: ${cause.message}` })
  }
}

function refuseMovedTag(
  { tagsMayMove }: ContentWriterDeps,
  tx: Transaction,
  { repository, reference }: RecordKey,
  digest: Digest,
): void {
  if (isDigest(reference) || tagsMayMove(repository)) return
  const row = tx.get(ENTRY, pairKey(repository, reference))
  const isAdopted = row?.records.length === 0
  const shown = isAdopted ? row.held?.digest : visibleOf(historyOf(row))?.record.digest
  if (shown === undefined || shown === digest) return
  const message = `tags of ${repository} are immutable: ${reference} is ${shown}; push another tag`
  throw new OciError('DENIED', { message })
}
