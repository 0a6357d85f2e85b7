/** Fills the data directory of a node that is not running: as many repositories and signed tags as asked for, over ten manifests. */
import { join } from 'node:path'
import { systemClock } from '../src/lib/clock.ts'
import { identityPath, loadIdentity } from '../src/node/identity-file.ts'
import { parseManifest } from '../src/oci/manifest.ts'
import type { RepositoryName, Tag } from '../src/oci/name.ts'
import { createAuthor } from '../src/record/author.ts'
import { createLogicalClock } from '../src/record/time.ts'
import { createContentRows, manifestRow } from '../src/storage/content-rows.ts'
import { openDiskBlobStore } from '../src/storage/disk-blob-store.ts'
import { openIndexDb } from '../src/storage/index-db.ts'
import { newestTime, openLedger } from '../src/storage/ledger.ts'
import type { LinkJournal } from '../src/storage/link-journal.ts'
import { makeImage, type TestManifest } from '../test/helpers/images.ts'

export interface IndexSize {
  readonly repositories: number
  /** In all. */
  readonly tags: number
}

/** Has this many tags whatever the size, so that a page of a hundred is a whole page everywhere. */
export const BIG_REPOSITORY = 'demo/big' as RepositoryName
export const BIG_TAGS = 208
const MANIFESTS = 10
/** Repositories written side by side: their transactions share a batch. */
const AT_ONCE = 64

export const repositoryAt = (at: number) => `demo/r${String(at).padStart(5, '0')}` as RepositoryName
export const tagAt = (at: number) => `t${String(at).padStart(5, '0')}` as Tag

/** Two million small files are not what is measured: the index is. */
const NO_LINKS: LinkJournal = {
  write: () => {},
  remove: () => {},
  settled: async () => {},
  [Symbol.asyncDispose]: async () => {},
}

/** Through the storage room's own functions; link files are left out. */
export async function fillIndex(
  directory: string,
  realm: string,
  { repositories, tags }: IndexSize,
): Promise<void> {
  const identity = await loadIdentity(identityPath(directory))
  const blobs = await openDiskBlobStore({ directory })
  await using index = await openIndexDb(join(directory, 'entrepot', 'index'))
  const clock = systemClock
  const ledger = await openLedger({ index }, { epoch: 'filled' })
  const rows = createContentRows({ ledger, links: NO_LINKS })
  const logicalClock = createLogicalClock({ clock }, newestTime(index))
  const author = createAuthor({ identity, logicalClock }, { realm })

  const images = Array.from({ length: MANIFESTS }, (_, at) => makeImage(`filled ${at}`))
  for (const image of images) {
    for (const part of [...image.blobs, image]) await blobs.put(part.digest, part.bytes)
  }

  function fillRepository(repository: RepositoryName, count: number): Promise<void> {
    return index.transact((tx) => {
      for (const image of images.slice(0, count)) {
        const row = manifestRow(manifestOf(image), image.bytes.length)
        rows.putManifest(tx, repository, image.digest, row)
      }
      for (let at = 0; at < count; at += 1) {
        const { digest, mediaType, bytes } = images[at % images.length] ?? fail()
        const reference = tagAt(at)
        const draft = { kind: 'put', repository, reference, digest, mediaType } as const
        const signed = author.sign({ ...draft, size: bytes.length }, [])
        ledger.add(tx, signed)
        ledger.hold(tx, signed.record, { digest, coverage: 'all' })
        rows.putTag(tx, repository, reference, digest)
      }
    })
  }

  await fillRepository(BIG_REPOSITORY, BIG_TAGS)
  const others = repositories - 1
  for (let at = 0; at < others; at += AT_ONCE) {
    const group = Array.from({ length: Math.min(AT_ONCE, others - at) }, (_, offset) => at + offset)
    await Promise.all(
      group.map((number) => {
        const [from, to] = [number, number + 1].map((edge) =>
          Math.round(((tags - BIG_TAGS) * edge) / others),
        ) as [number, number]
        return fillRepository(repositoryAt(number), to - from)
      }),
    )
  }
}

function manifestOf({ bytes, mediaType }: TestManifest) {
  const parse = parseManifest(bytes, mediaType)
  return parse.kind === 'invalid' ? fail() : parse.manifest
}

function fail(): never {
  throw new Error('the images of this program are valid and at least one')
}
