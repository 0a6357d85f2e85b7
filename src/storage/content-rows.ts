/** The rows and links that a manifest is made of, written and removed inside a transaction: one place for both. */
import type { Digest } from '../oci/digest.ts'
import type { Descriptor, Manifest } from '../oci/manifest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Transaction } from './index-db.ts'
import { addTo, removeFrom } from './index-lists.ts'
import { addMember, removeMember, sizeOf } from './index-sets.ts'
import {
  ABOUT,
  BLOB,
  GONE,
  MANIFEST,
  type ManifestRow,
  PARENT,
  PULLED,
  pairKey,
  REPOSITORY,
  UNUSED,
} from './index-tables.ts'
import {
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
  tagIndexPath,
  tagPath,
} from './layout.ts'
import type { Ledger } from './ledger.ts'
import type { LinkJournal } from './link-journal.ts'

export interface ContentRowsDeps {
  readonly ledger: Ledger
  readonly links: Pick<LinkJournal, 'write' | 'remove'>
}

export interface ContentRows {
  putManifest(tx: Transaction, repository: RepositoryName, digest: Digest, row: ManifestRow): void
  /**
   * What it names and what is about it has lost a reason to stay; `sinceMs`: since when it was unused, and so they were,
   * where nothing else names them.
   */
  removeManifest(
    tx: Transaction,
    repository: RepositoryName,
    digest: Digest,
    options?: { readonly sinceMs?: number | undefined },
  ): boolean
  /** Being pushed by digest keeps it no more. */
  orphan(tx: Transaction, repository: RepositoryName, digest: Digest): void
  /** It was pushed by digest, for its own sake. */
  keepByDigest(tx: Transaction, repository: RepositoryName, digest: Digest): void
  /** @returns whether the repository did not have it. */
  putBlob(
    tx: Transaction,
    repository: RepositoryName,
    blob: Pick<Descriptor, 'digest' | 'size'>,
  ): boolean
  removeBlob(tx: Transaction, repository: RepositoryName, digest: Digest): boolean
  /** What the node serves for a tag; undefined = nothing. */
  putTag(tx: Transaction, repository: RepositoryName, tag: Tag, digest: Digest): void
  removeTag(tx: Transaction, repository: RepositoryName, tag: Tag): void
}

export function createContentRows({ ledger, links }: ContentRowsDeps): ContentRows {
  function count(tx: Transaction, repository: RepositoryName, by: 1 | -1): void {
    const { manifests, changes } = tx.get(REPOSITORY, repository) ?? { manifests: 0, changes: 0 }
    tx.put(REPOSITORY, repository, { manifests: manifests + by, changes: changes + 1 })
  }

  function putBlob(
    tx: Transaction,
    repository: RepositoryName,
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  ): boolean {
    const key = pairKey(repository, digest)
    if (tx.get(BLOB, key) !== undefined) return false
    tx.put(BLOB, key, { size })
    links.write(tx, layerLinkPath(repository, digest), digest)
    return true
  }

  /** One reason less to stay. Whether it was the last is found out when the collector looks. */
  function leave(
    tx: Transaction,
    repository: RepositoryName,
    digest: Digest,
    sinceMs: number | undefined,
    isOrphan = false,
  ): void {
    const key = pairKey(repository, digest)
    const row = tx.get(UNUSED, key) ?? {}
    const since = row.sinceMs ?? sinceMs
    if (since === undefined && !isOrphan) return
    tx.put(UNUSED, key, {
      ...row,
      ...(since === undefined ? {} : { sinceMs: since }),
      ...(isOrphan ? { isOrphan } : {}),
    })
  }

  return {
    putBlob,
    putManifest: (tx, repository, digest, row) => {
      const key = pairKey(repository, digest)
      // Of a sparse one the blobs that are here have their rows already.
      if (row.isSparse !== true) for (const blob of row.blobs) putBlob(tx, repository, blob)
      const before = tx.get(MANIFEST, key)
      if (before !== undefined) {
        const isWhole = before.isSparse === true && row.isSparse !== true
        const tellsMore = before.platforms === undefined && row.platforms !== undefined
        if (isWhole || tellsMore) tx.put(MANIFEST, key, row)
        return
      }
      tx.put(MANIFEST, key, row)
      count(tx, repository, 1)
      for (const child of row.manifests) addTo(tx, PARENT, pairKey(repository, child), digest)
      if (row.subject !== undefined) addMember(tx, ABOUT, pairKey(repository, row.subject), digest)
      tx.delete(GONE, key)
      links.write(tx, revisionLinkPath(repository, digest), digest)
      // Its children are known only now: signatures of a child may be wanted because of this index.
      if (row.manifests.length > 0) ledger.renumberReferrers(tx, repository, digest)
    },
    removeManifest: (tx, repository, digest, { sinceMs } = {}) => {
      const key = pairKey(repository, digest)
      const row = tx.get(MANIFEST, key)
      if (row === undefined) return false
      tx.delete(MANIFEST, key)
      count(tx, repository, -1)
      for (const child of row.manifests) {
        removeFrom(tx, PARENT, pairKey(repository, child), digest)
      }
      if (row.subject !== undefined) {
        const subject = pairKey(repository, row.subject)
        removeMember(tx, ABOUT, subject, digest)
        if (sizeOf(tx, ABOUT, subject) === 0) tx.delete(GONE, subject)
      }
      for (const child of row.manifests) leave(tx, repository, child, sinceMs, true)
      // What is about it may be thousands: one row says it to all of them.
      if (sizeOf(tx, ABOUT, key) > 0) tx.put(GONE, key, sinceMs === undefined ? {} : { sinceMs })
      for (const blob of row.blobs) leave(tx, repository, blob.digest, sinceMs)
      for (const tag of tx.get(UNUSED, key)?.tags ?? []) {
        links.remove(tx, tagIndexPath(repository, tag, digest))
      }
      tx.delete(UNUSED, key)
      if (tx.get(PULLED, key) !== undefined) tx.delete(PULLED, key)
      links.remove(tx, revisionLinkPath(repository, digest))
      return true
    },
    orphan: (tx, repository, digest) => {
      if (tx.get(MANIFEST, pairKey(repository, digest)) === undefined) return
      leave(tx, repository, digest, undefined, true)
    },
    keepByDigest: (tx, repository, digest) => {
      const key = pairKey(repository, digest)
      const subject = tx.get(MANIFEST, key)?.subject
      const isAboutGone =
        subject !== undefined && tx.get(GONE, pairKey(repository, subject)) !== undefined
      if (isAboutGone) tx.put(UNUSED, key, { isOrphan: false })
      else tx.delete(UNUSED, key)
    },
    removeBlob: (tx, repository, digest) => {
      const key = pairKey(repository, digest)
      if (tx.get(BLOB, key) === undefined) return false
      tx.delete(BLOB, key)
      if (tx.get(MANIFEST, key) === undefined) tx.delete(UNUSED, key)
      links.remove(tx, layerLinkPath(repository, digest))
      return true
    },
    putTag: (tx, repository, tag, digest) => {
      links.write(tx, tagIndexLinkPath(repository, tag, digest), digest)
      links.write(tx, tagCurrentLinkPath(repository, tag), digest)
    },
    removeTag: (tx, repository, tag) => links.remove(tx, tagPath(repository, tag)),
  }
}

/** What the index keeps of a manifest. */
export function manifestRow(manifest: Manifest, size: number): ManifestRow {
  const { manifests, ...rest } = manifest
  const platforms = manifests.map(({ platform = '' }) => platform)
  return {
    ...rest,
    size,
    manifests: manifests.map(({ digest }) => digest),
    ...(platforms.some((one) => one !== '') ? { platforms } : {}),
  }
}
