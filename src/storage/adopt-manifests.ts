/** Adopts manifests: their bytes are read and hashed, and what they name is looked for. */
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES, parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { BlobStore } from './blob-store.ts'
import { isComplete } from './content-keeper.ts'
import { type ContentRows, manifestRow } from './content-rows.ts'
import type { DamageReports } from './damage.ts'
import { type Finding, finding } from './finding.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { BLOB, ENTRY, type EntryRow, MANIFEST, type ManifestRow, pairKey } from './index-tables.ts'
import { blobPath, layerLinkPath, revisionLinkPath } from './layout.ts'
import { type FoundLink, type LayoutScan, NO_FILE } from './layout-scan.ts'
import { historyOf, type Ledger } from './ledger.ts'

export interface AdoptManifestsDeps {
  readonly scan: LayoutScan
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  /** Without links: those are there. */
  readonly rows: ContentRows
  readonly damage: DamageReports
  readonly tell: (finding: Finding) => void
  readonly signal: AbortSignal
}

export interface ManifestCounts {
  readonly found: number
  readonly added: number
}

interface FoundManifest {
  readonly digest: Digest
  readonly row: ManifestRow
  readonly isNew: boolean
}

/** In the pass of the images, indexes are left for the other one. What cannot be read is told of in the first. */
export async function adoptManifests(
  deps: AdoptManifestsDeps,
  repository: RepositoryName,
  links: readonly FoundLink<Digest>[],
  pass: 'images' | 'indexes',
): Promise<ManifestCounts> {
  const reads = await Promise.all(links.map((link) => readManifest(deps, repository, link)))
  const here = reads.flatMap((read) => {
    if (read === undefined) return []
    if ('row' in read) return read.row.manifests.length > 0 === (pass === 'indexes') ? [read] : []
    if (pass === 'images') deps.tell(read)
    return []
  })
  const looks = await Promise.all(
    here.map(async (manifest) => {
      await tellOfChildren(deps, repository, manifest)
      const blobs = manifest.row.blobs.map((blob) => lookFor(deps, repository, blob))
      return (await Promise.all(blobs)).filter((hole) => hole !== undefined)
    }),
  )
  const lost = looks.flat().filter(({ isLinked }) => isLinked)
  const added = await deps.index.transact((tx) => {
    for (const { blob } of lost) tx.put(BLOB, pairKey(repository, blob.digest), { size: blob.size })
    return here.filter((manifest, at) => {
      const isSparse = looks[at]?.some(({ isLinked }) => !isLinked) === true
      return putManifest(deps, tx, repository, manifest, isSparse)
    }).length
  })
  for (const { blob, why } of lost) await deps.damage.report(repository, blob.digest, why)
  return { found: here.length, added }
}

/** @returns whether it is new */
function putManifest(
  { rows, ledger }: AdoptManifestsDeps,
  tx: Transaction,
  repository: RepositoryName,
  { digest, row, isNew }: FoundManifest,
  isSparse: boolean,
): boolean {
  const key = pairKey(repository, digest)
  const entry = tx.get(ENTRY, key)
  if (!isNew || tx.get(MANIFEST, key) !== undefined || isDeleted(entry)) return false
  rows.putManifest(tx, repository, digest, isSparse ? { ...row, isSparse } : row)
  // A record came first, and asks for just this: it is shown when the key is considered.
  if (entry !== undefined) return true
  const coverage = isComplete(tx, repository, digest) ? 'all' : []
  // Held by digest too: nothing but its link says that a manifest without a tag is wanted.
  const held = { digest, coverage, isAdopted: true } as const
  ledger.hold(tx, { repository, reference: digest }, held)
  return true
}

/** Undefined where the index knows better: a delete of it. */
async function readManifest(
  { index, blobs }: AdoptManifestsDeps,
  repository: RepositoryName,
  { name, path, target, came }: FoundLink<Digest>,
): Promise<FoundManifest | Finding | undefined> {
  if (name === undefined) return finding('name-invalid', path, { expected: 'a digest', came })
  if (target !== name) return finding('link-wrong', path, { expected: name, came })
  const key = pairKey(repository, name)
  const row = index.get(MANIFEST, key)
  if (row !== undefined) return { digest: name, row, isNew: false }
  if (isDeleted(index.get(ENTRY, key))) return undefined
  const file = blobPath(name)
  const size = (await blobs.stat(name))?.size ?? 0
  if (size > MAX_MANIFEST_BYTES) {
    const expected = `a manifest of at most ${MAX_MANIFEST_BYTES} bytes`
    return finding('manifest-unreadable', file, { expected, came: `${size} bytes` })
  }
  const bytes = await blobs.readAll(name)
  if (bytes === undefined) {
    return finding('manifest-missing', file, { expected: `the manifest of ${path}`, came: NO_FILE })
  }
  const actual = digestOf(bytes, algorithmOf(name))
  if (actual !== name) return finding('blob-wrong-bytes', file, { expected: name, came: actual })
  const parse = parseManifest(bytes, undefined)
  if (parse.kind === 'parsed') {
    return { digest: name, row: manifestRow(parse.manifest, bytes.length), isNew: true }
  }
  const expected = 'an OCI or Docker schema 2 manifest'
  return finding('manifest-unreadable', file, { expected, came: parse.reason })
}

function isDeleted(entry: EntryRow | undefined): boolean {
  return entry !== undefined && visibleOf(historyOf(entry)) === undefined
}

interface Hole {
  readonly blob: Descriptor
  /** A link of the repository says that it had the blob. */
  readonly isLinked: boolean
  readonly why: string
}

/** What is not as the manifest says; undefined where all is well. */
async function lookFor(
  { index, blobs, scan, tell }: AdoptManifestsDeps,
  repository: RepositoryName,
  blob: Descriptor,
): Promise<Hole | undefined> {
  const { digest, size } = blob
  if (index.get(BLOB, pairKey(repository, digest))?.size === size) return undefined
  const link = layerLinkPath(repository, digest)
  if ((await scan.read(link)).target !== digest) {
    // Its bytes may be here for another repository: this one never had them, or would have a link.
    tell(finding('blob-missing', link, { expected: `a link to ${digest}`, came: NO_FILE }))
    return { blob, isLinked: false, why: 'there is no link' }
  }
  const expected = `${size} bytes`
  const came = (await blobs.stat(digest))?.size
  // A link without a file was told of among the layers.
  if (came === undefined) return { blob, isLinked: true, why: `expected ${expected}, ${NO_FILE}` }
  tell(finding('blob-wrong-size', blobPath(digest), { expected, came: `${came} bytes` }))
  return { blob, isLinked: true, why: `expected ${expected}, the file has ${came}` }
}

async function tellOfChildren(
  { index, scan, tell }: AdoptManifestsDeps,
  repository: RepositoryName,
  { digest, row }: FoundManifest,
): Promise<void> {
  for (const child of row.manifests) {
    if (index.get(MANIFEST, pairKey(repository, child)) !== undefined) continue
    const path = revisionLinkPath(repository, child)
    const { came } = await scan.read(path)
    // A link that is there has its own turn, or had it.
    if (came !== NO_FILE) continue
    tell(
      finding('child-missing', path, {
        expected: `the manifest ${child} of index ${digest}`,
        came,
      }),
    )
  }
}
