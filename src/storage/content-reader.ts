/** Reads what this node serves: rows of the index, bytes of the blob store. */
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import { isDigest } from '../oci/name.ts'
import type { BlobStore } from './blob-store.ts'
import {
  type ContentReader,
  describeReferrer,
  type ManifestStat,
  type Page,
  type ReferrerDescriptor,
} from './content.ts'
import type { Damage } from './damage.ts'
import type { IndexDb } from './index-db.ts'
import { indexesNaming, missingPart } from './index-parts.ts'
import { membersOf } from './index-sets.ts'
import {
  ABOUT,
  BLOB,
  endOf,
  firstOf,
  LOSER,
  MANIFEST,
  pairKey,
  REPOSITORY,
  secondOf,
  TAG,
} from './index-tables.ts'
import { loserAt } from './loser-tags.ts'

export interface ContentReaderDeps {
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly damage: Pick<Damage, 'has' | 'report'>
}

export function createContentReader({ index, blobs, damage }: ContentReaderDeps): ContentReader {
  function digestOfTag(repository: RepositoryName, tag: Tag): Digest | undefined {
    return index.get(TAG, pairKey(repository, tag)) ?? loserAt(index, repository, tag)?.digest
  }

  function stat(repository: RepositoryName, reference: Reference): ManifestStat | undefined {
    const digest = isDigest(reference) ? reference : digestOfTag(repository, reference)
    if (digest === undefined) return undefined
    const row = index.get(MANIFEST, pairKey(repository, digest))
    return row && { digest, mediaType: row.mediaType, size: row.size }
  }

  /** Fallback tags name an image index of referrers, not a referrer: only records with a `subject` count here. */
  function referrer(
    repository: RepositoryName,
    digest: Digest,
    subject: Digest,
  ): ReferrerDescriptor | undefined {
    const row = index.get(MANIFEST, pairKey(repository, digest))
    // The newest record may be about another manifest than the one that is still served here.
    if (row?.subject !== subject) return undefined
    return describeReferrer({ digest, size: row.size }, row)
  }

  return {
    statManifest: async (repository, reference) => stat(repository, reference),
    readManifest: async (repository, reference) => {
      const found = stat(repository, reference)
      if (found === undefined) return undefined
      const { digest, mediaType, size } = found
      const bytes = damage.has(digest) ? undefined : await blobs.readAll(digest)
      if (bytes?.length === size) return { digest, mediaType, bytes }
      await damage.report(repository, digest, sizeWrong(size, bytes?.length))
      return undefined
    },
    missingPart: (repository, digest) => missingPart(index, repository, digest),
    indexesNaming: (repository, digest) => indexesNaming(index, repository, digest),
    statBlob: async (repository, digest) => {
      const key = pairKey(repository, digest)
      // Manifests are blobs too: `GET /blobs/<manifest digest>` is how some clients read them.
      const row = index.get(BLOB, key) ?? index.get(MANIFEST, key)
      if (row === undefined) return undefined
      const stat = damage.has(digest) ? undefined : await blobs.stat(digest)
      if (stat?.size === row.size) return stat
      // A file of another size is damage: as good as absent, never served.
      await damage.report(repository, digest, sizeWrong(row.size, stat?.size))
      return undefined
    },
    async *repositoriesOf(digest, { within: most }) {
      let after = ''
      for (let seen = 0; seen < most; seen += 1) {
        const [first] = await index.page(BLOB, { after, limit: 1 })
        if (first === undefined) return
        const repository = firstOf(first[0]) as RepositoryName
        if (index.get(BLOB, pairKey(repository, digest)) !== undefined) yield repository
        after = endOf(repository)
      }
    },
    hasRepository: (repository) => (index.get(REPOSITORY, repository)?.manifests ?? 0) > 0,
    tags: async (repository, page) => {
      const range = within(repository, page)
      const [own, losers] = await Promise.all([index.page(TAG, range), index.page(LOSER, range)])
      const tags = own.map(([key]) => secondOf(key) as Tag)
      if (losers.length === 0) return tags
      const shown = losers
        .map(([key]) => secondOf(key) as Tag)
        .filter((tag) => digestOfTag(repository, tag) !== undefined)
      return [...new Set([...tags, ...shown])].sort().slice(0, page.limit)
    },
    repositories: async ({ after, limit }) => {
      const names: RepositoryName[] = []
      let last = after ?? ''
      while (names.length < limit) {
        const rows = await index.page(REPOSITORY, { after: last, limit })
        for (const [name, { manifests }] of rows) {
          if (manifests > 0 && names.length < limit) names.push(name as RepositoryName)
        }
        if (rows.length < limit) break
        last = rows.at(-1)?.[0] ?? last
      }
      return names
    },
    referrers: async function* (repository, subject, { after = '', artifactType } = {}) {
      for await (const digest of membersOf(index, ABOUT, pairKey(repository, subject), { after })) {
        const one = referrer(repository, digest, subject)
        if (one === undefined) continue
        if (artifactType === undefined || one.artifactType === artifactType) yield one
      }
    },
  }
}

function sizeWrong(expected: number, came: number | undefined): string {
  return `expected ${expected} bytes, ${came === undefined ? 'there is no file, or one with other bytes' : `the file has ${came}`}`
}

/** Rows of one repository. */
function within(repository: RepositoryName, { after, limit }: Page) {
  return { after: pairKey(repository, after ?? ''), below: endOf(repository), limit }
}
