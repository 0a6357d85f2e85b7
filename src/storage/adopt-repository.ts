/** Adopts one repository: layers, then manifests, children before indexes, then tags; a transaction for each few links. */
import { algorithmOf, type Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import { type AdoptManifestsDeps, adoptManifests } from './adopt-manifests.ts'
import type { AdoptedTags } from './adopted-tags.ts'
import { isComplete } from './content-keeper.ts'
import { finding } from './finding.ts'
import { BLOB, ENTRY, MANIFEST, pairKey } from './index-tables.ts'
import { blobPath } from './layout.ts'
import type { FoundLink } from './layout-scan.ts'
import { historyOf } from './ledger.ts'

export interface AdoptionCounts {
  manifests: number
  /** Links: a blob counts in each repository that has it. */
  blobs: number
  tags: number
}

export interface AdoptRepositoryDeps extends AdoptManifestsDeps {
  /** Keeps tags that a record knows otherwise; absent where the node's name is not known. */
  readonly adopted?: AdoptedTags | undefined
  /** On disk, and of these new in the index. */
  readonly found: AdoptionCounts
  readonly added: AdoptionCounts
}

export async function adoptRepository(
  deps: AdoptRepositoryDeps,
  repository: RepositoryName,
): Promise<void> {
  const { scan, signal, found, added } = deps
  for await (const links of scan.layers(repository)) {
    signal.throwIfAborted()
    await adoptLayers(deps, repository, links)
  }
  // An index is complete, or not, only when its children are here: they come in a first pass.
  for (const pass of ['images', 'indexes'] as const) {
    for await (const links of scan.revisions(repository)) {
      signal.throwIfAborted()
      const counts = await adoptManifests(deps, repository, links, pass)
      found.manifests += counts.found
      added.manifests += counts.added
    }
  }
  for await (const links of scan.tags(repository)) {
    signal.throwIfAborted()
    await adoptTags(deps, repository, links)
  }
}

async function adoptLayers(
  { blobs, index, rows, found, added, tell }: AdoptRepositoryDeps,
  repository: RepositoryName,
  links: readonly FoundLink<Digest>[],
): Promise<void> {
  const looks = await Promise.all(
    links.map(async ({ name, path, target, came }) => {
      if (name === undefined)
        return tell(finding('name-invalid', path, { expected: 'a digest', came }))
      // A link named by the sha512 of a blob may hold the sha256 under which the blob is stored.
      const isAlias = target !== undefined && algorithmOf(target) !== algorithmOf(name)
      if (target === undefined || (target !== name && !isAlias)) {
        return tell(finding('link-wrong', path, { expected: name, came }))
      }
      const size = (await blobs.stat(target))?.size
      const known = index.get(BLOB, pairKey(repository, target))?.size ?? size
      if (size !== known && size !== undefined) {
        const [expected, came] = [`${known} bytes`, `${size} bytes`]
        tell(finding('blob-wrong-size', blobPath(target), { expected, came }))
      }
      if (size !== undefined) return { digest: target, size }
      return tell(
        finding('blob-missing', blobPath(target), {
          expected: `the blob of ${path}`,
          came: 'no file',
        }),
      )
    }),
  )
  const here = looks.filter((look) => look !== undefined)
  found.blobs += here.length
  added.blobs += await index.transact(
    (tx) => here.filter((blob) => rows.putBlob(tx, repository, blob)).length,
  )
}

async function adoptTags(
  { index, ledger, adopted, found, added, tell }: AdoptRepositoryDeps,
  repository: RepositoryName,
  links: readonly FoundLink<Tag>[],
): Promise<void> {
  const here = links.flatMap(({ name, path, target, came }) => {
    if (name === undefined) tell(finding('name-invalid', path, { expected: 'a tag', came }))
    else if (target === undefined) tell(finding('link-wrong', path, { expected: 'a digest', came }))
    else if (index.get(MANIFEST, pairKey(repository, target)) === undefined) {
      const expected = 'the digest of a manifest that the repository has'
      tell(finding('tag-dangling', path, { expected, came: target }))
    } else return [{ tag: name, digest: target }]
    return []
  })
  found.tags += here.length
  added.tags += await index.transact((tx) => {
    // A record, or a delete, has the say over what lies on disk.
    let fresh = 0
    for (const { tag, digest } of here) {
      const row = tx.get(ENTRY, pairKey(repository, tag))
      const coverage = isComplete(tx, repository, digest) ? 'all' : []
      const held = { digest, coverage, isAdopted: true } as const
      if (row === undefined) {
        ledger.hold(tx, { repository, reference: tag }, held)
        fresh += 1
      } else if (row.held === undefined && row.records.length > 0) {
        const isSame = visibleOf(historyOf(row))?.record.digest === digest
        if (!isSame) adopted?.keep(tx, repository, tag, held)
      }
    }
    return fresh
  })
}
