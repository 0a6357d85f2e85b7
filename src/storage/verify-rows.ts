/** Every row of content against the disk: the link file that it stands for, and the bytes. */
import { isDeepStrictEqual } from 'node:util'
import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES, parseManifest } from '../oci/manifest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import { parseKeyText } from '../record/tag-record.ts'
import { type Check, tellOfBlob } from './check.ts'
import { manifestRow } from './content-rows.ts'
import { finding } from './finding.ts'
import type { Table } from './index-db.ts'
import { addTo, removeFrom } from './index-lists.ts'
import { pagesOf } from './index-pages.ts'
import { addMember, removeMember } from './index-sets.ts'
import { ABOUT, BLOB, MANIFEST, type ManifestRow, PARENT, pairKey, TAG } from './index-tables.ts'
import { blobPath, layerLinkPath, revisionLinkPath, tagCurrentLinkPath, tagPath } from './layout.ts'
import { NO_FILE } from './layout-scan.ts'
import { digestOnDisk } from './verify.ts'

/** Rows looked at side by side: their files are small, and the disk's latency is most of the work. */
const PAGE = 64

export async function verifyRows(check: Check): Promise<void> {
  await each(check, BLOB, async (repository, name, { size }) => {
    const digest = name as Digest
    check.claimed.add(digest)
    await verifyLink(check, layerLinkPath(repository, digest), digest)
    await verifySize(check, repository, digest, size)
  })
  await each(check, MANIFEST, async (repository, name, row) => {
    const digest = name as Digest
    check.claimed.add(digest)
    await verifyLink(check, revisionLinkPath(repository, digest), digest)
    await verifyManifest(check, repository, digest, row)
  })
  await each(check, TAG, async (repository, name, digest) => {
    await verifyTag(check, repository, name as Tag, digest)
  })
}

async function each<V>(
  { index, signal }: Check,
  table: Table<V>,
  look: (repository: RepositoryName, name: string, row: V) => Promise<void>,
): Promise<void> {
  for await (const page of pagesOf(index, table, { limit: PAGE })) {
    signal.throwIfAborted()
    await Promise.all(
      page.map(([key, row]) => {
        const { repository, reference } = parseKeyText(key)
        return look(repository, reference, row)
      }),
    )
  }
}

async function verifyLink(check: Check, path: string, digest: Digest): Promise<void> {
  const { target, came } = await check.scan.read(path)
  if (target === digest) return
  const one = finding(came === NO_FILE ? 'link-missing' : 'link-wrong', path, {
    expected: digest,
    came,
  })
  if (!check.mustRepair) return check.tell(one)
  await check.files.apply([{ kind: 'write', path, digest }])
  check.tell(one, { repair: 'written from the index', isWhole: true })
}

async function verifySize(
  check: Check,
  repository: RepositoryName,
  digest: Digest,
  size: number,
): Promise<void> {
  const { blobs, index, bad, mustRepair, signal } = check
  if (bad.has(digest)) return
  const came = (await blobs.stat(digest))?.size
  if (came === size) return
  const path = blobPath(digest)
  const expected = `${size} bytes`
  if (came === undefined) {
    return tellOfBlob(check, digest, finding('blob-missing', path, { expected, came: NO_FILE }))
  }
  const actual = await digestOnDisk(blobs, digest, { signal })
  const about = { expected, came: `${came} bytes` }
  if (actual !== digest) return tellOfBlob(check, digest, finding('blob-wrong-size', path, about))
  const one = finding('row-wrong', path, about)
  if (!mustRepair) return check.tell(one)
  await index.transact((tx) => tx.put(BLOB, pairKey(repository, digest), { size: came }))
  check.tell(one, { repair: 'the row has the size of the file now', isWhole: true })
}

async function verifyManifest(
  check: Check,
  repository: RepositoryName,
  digest: Digest,
  row: ManifestRow,
): Promise<void> {
  const { blobs, index, bad, mustRepair } = check
  if (bad.has(digest)) return
  const path = blobPath(digest)
  const size = (await blobs.stat(digest))?.size
  const isReadable = size !== undefined && size <= MAX_MANIFEST_BYTES
  const bytes = isReadable ? await blobs.readAll(digest) : undefined
  const actual = bytes && digestOf(bytes, algorithmOf(digest))
  if (bytes === undefined || actual !== digest) {
    const expected = `${digest}, ${row.size} bytes`
    const came = size === undefined ? NO_FILE : `${actual ?? 'another file'}, ${size} bytes`
    const kind = size === undefined ? 'blob-missing' : 'blob-wrong-bytes'
    return tellOfBlob(check, digest, finding(kind, path, { expected, came }))
  }
  // The type of the push counts, where the row still has it.
  const typed = parseManifest(bytes, row.mediaType)
  const parse = typed.kind === 'parsed' ? typed : parseManifest(bytes, undefined)
  if (parse.kind === 'invalid') {
    const expected = 'an OCI or Docker schema 2 manifest'
    return check.tell(finding('manifest-unreadable', path, { expected, came: parse.reason }))
  }
  const { isSparse } = row
  const { platforms, ...rest } = manifestRow(parse.manifest, bytes.length)
  // Rows of earlier programs do not have them.
  const said =
    row.platforms === undefined || platforms === undefined ? rest : { ...rest, platforms }
  const right = isSparse === undefined ? said : { ...said, isSparse }
  // Of a sparse manifest blobs may be missing.
  const lacking = right.blobs.filter(
    (blob) => isSparse !== true && index.get(BLOB, pairKey(repository, blob.digest)) === undefined,
  )
  const isEqual = isDeepStrictEqual({ ...row }, { ...right })
  if (isEqual && lacking.length === 0) return
  const one = finding('row-wrong', path, {
    expected: `what the manifest says, in the row of ${repository}`,
    came: isEqual ? `no row for ${lacking.map((blob) => blob.digest).join(', ')}` : 'another row',
  })
  if (!mustRepair) return check.tell(one)
  await index.transact((tx) => {
    const key = pairKey(repository, digest)
    tx.put(MANIFEST, key, right)
    for (const child of row.manifests) removeFrom(tx, PARENT, pairKey(repository, child), digest)
    for (const child of right.manifests) addTo(tx, PARENT, pairKey(repository, child), digest)
    if (row.subject) removeMember(tx, ABOUT, pairKey(repository, row.subject), digest)
    if (right.subject) addMember(tx, ABOUT, pairKey(repository, right.subject), digest)
    for (const blob of lacking) {
      check.rows.putBlob(tx, repository, blob)
      check.links.write(tx, layerLinkPath(repository, blob.digest), blob.digest)
    }
  })
  check.tell(one, { repair: 'the row says what the bytes say now', isWhole: true })
}

async function verifyTag(
  check: Check,
  repository: RepositoryName,
  tag: Tag,
  digest: Digest,
): Promise<void> {
  const path = tagCurrentLinkPath(repository, tag)
  if (check.index.get(MANIFEST, pairKey(repository, digest)) !== undefined) {
    return verifyLink(check, path, digest)
  }
  const expected = `a manifest ${digest} in ${repository}`
  const one = finding('tag-dangling', path, { expected, came: 'no row of it' })
  if (!check.mustRepair) return check.tell(one)
  await check.index.transact((tx) => {
    check.ledger.hold(tx, { repository, reference: tag }, undefined)
    check.links.remove(tx, tagPath(repository, tag))
  })
  const repair = 'not shown any more; a node fetches it again where a record names it'
  check.tell(one, { repair, isWhole: true })
}
