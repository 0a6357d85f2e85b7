/** The storage room over memory: a crash keeps the backend and the disk, and a second rig over both is a restart. */
import { MemoryLevel } from 'memory-level'
import { createEventBus } from '../../src/events/event-bus.ts'
import type { MeshEvent } from '../../src/events/mesh-event.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { systemRandom } from '../../src/lib/random.ts'
import type { RepositoryName } from '../../src/oci/name.ts'
import { type Author, createAuthor } from '../../src/record/author.ts'
import { createLogicalClock, type LogicalClock } from '../../src/record/time.ts'
import { type AdoptedTags, createAdoptedTags } from '../../src/storage/adopted-tags.ts'
import { type BlobLeases, createBlobLeases } from '../../src/storage/blob-leases.ts'
import type { BlobStore } from '../../src/storage/blob-store.ts'
import type { ContentKeeper, ContentReader, ContentWriter } from '../../src/storage/content.ts'
import { createContentKeeper } from '../../src/storage/content-keeper.ts'
import { createContentReader } from '../../src/storage/content-reader.ts'
import { type ContentRows, createContentRows } from '../../src/storage/content-rows.ts'
import { createContentWriter, type SparsePolicy } from '../../src/storage/content-writer.ts'
import { type Damage, openDamage } from '../../src/storage/damage.ts'
import { createIndexDb, type IndexBackend, type IndexDb } from '../../src/storage/index-db.ts'
import type { LinkChange } from '../../src/storage/index-tables.ts'
import { type Ledger, newestTime, openLedger } from '../../src/storage/ledger.ts'
import {
  createLinkJournal,
  type LinkFiles,
  type LinkJournal,
  NO_LINK_FILES,
} from '../../src/storage/link-journal.ts'
import {
  createMemoryBlobStore,
  createMemoryDisk,
  type MemoryDisk,
} from '../../src/storage/memory-blob-store.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { manifestsOf, type TestManifest } from './images.ts'
import { identityNamed, REALM } from './writers.ts'

export interface StorageRig extends AsyncDisposable {
  readonly clock: FakeClock
  readonly backend: IndexBackend
  readonly disk: MemoryDisk
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly rows: ContentRows
  readonly leases: BlobLeases
  readonly signer: Author
  readonly damage: Damage
  readonly adopted: AdoptedTags
  /** Tags that were kept under another name, and which. */
  readonly kept: readonly (readonly [string, string])[]
  readonly links: LinkJournal
  /** What the link files were told, in order. */
  readonly applied: LinkChange[]
  readonly logicalClock: LogicalClock
  readonly content: ContentReader & ContentWriter & ContentKeeper
  readonly events: ReturnType<typeof createEventBus>
  /** Everything that happened. */
  readonly happened: MeshEvent[]
}

export interface StorageRigOptions {
  /** The writer that signs: its key follows from the name. */
  readonly writer?: string
  /** Instead of the writer's. */
  readonly author?: Author
  readonly clock?: FakeClock
  readonly backend?: IndexBackend
  readonly disk?: MemoryDisk
  /** Another store than the one over `disk`. */
  readonly blobs?: BlobStore
  readonly linkFiles?: LinkFiles
  readonly epoch?: string
  /** What was touched is left alone so long, milliseconds. */
  readonly keepMs?: number
  readonly sparse?: SparsePolicy
  readonly tagsMayMove?: (repository: RepositoryName) => boolean
}

export async function openMemoryBackend(): Promise<IndexBackend> {
  const backend = new MemoryLevel<string, Uint8Array>({
    keyEncoding: 'utf8',
    valueEncoding: 'view',
  })
  await backend.open()
  return backend
}

/** What a backup of the index has. */
export async function copyOf(backend: IndexBackend): Promise<IndexBackend> {
  const copy = await openMemoryBackend()
  const rows = await backend.iterator().all()
  await copy.batch(rows.map(([key, value]) => ({ type: 'put', key, value })))
  return copy
}

export async function openStorage(options: StorageRigOptions = {}): Promise<StorageRig> {
  const { clock = createFakeClock(), disk = createMemoryDisk(), writer = 'hub' } = options
  const backend = options.backend ?? (await openMemoryBackend())
  const index = createIndexDb(backend)
  const ledger = await openLedger({ index }, { epoch: options.epoch ?? 'epoch-1' })
  const applied: LinkChange[] = []
  const recording: LinkFiles = {
    ...NO_LINK_FILES,
    apply: async (changes) => void applied.push(...changes),
  }
  const files = options.linkFiles ?? recording
  const links = createLinkJournal({ index, files, clock, logger: silentLogger })
  const events = createEventBus({ logger: silentLogger })
  const happened: MeshEvent[] = []
  events.onAny((event) => happened.push(event))
  const blobs = options.blobs ?? createMemoryBlobStore({ clock, disk })
  const rows = createContentRows({ ledger, links })
  const damage = await openDamage({ index, events, clock, logger: silentLogger })
  const logicalClock = createLogicalClock({ clock }, newestTime(index))
  const author =
    options.author ??
    createAuthor({ identity: identityNamed(writer), logicalClock }, { realm: REALM })
  const tagsMayMove = options.tagsMayMove ?? (() => true)
  const leases = createBlobLeases({ clock, random: systemRandom }, { keepMs: options.keepMs ?? 0 })
  const kept: [string, string][] = []
  const adopted = createAdoptedTags({
    ledger,
    rows,
    node: writer,
    onKept: (_repository, from, to) => void kept.push([from, to]),
  })
  const store = { index, blobs, leases, ledger, rows, damage, adopted, events }
  const content = {
    ...createContentReader(store),
    ...createContentWriter({ ...store, author, sparse: options.sparse ?? 'refuse', tagsMayMove }),
    ...createContentKeeper(store),
  }
  return {
    clock,
    backend,
    disk,
    index,
    blobs,
    ledger,
    rows,
    leases,
    signer: author,
    links,
    damage,
    adopted,
    kept,
    applied,
    logicalClock,
    content,
    events,
    happened,
    [Symbol.asyncDispose]: async () => {
      await links[Symbol.asyncDispose]()
      await index[Symbol.asyncDispose]()
    },
  }
}

/** Pushes an image as a client does: blobs, children by digest, the root under `reference`. */
export async function push(
  { content, blobs }: Pick<StorageRig, 'content' | 'blobs'>,
  repository: string,
  reference: string,
  image: TestManifest,
): Promise<void> {
  const name = repository as RepositoryName
  for (const manifest of manifestsOf(image)) {
    for (const blob of manifest.blobs) {
      await blobs.put(blob.digest, blob.bytes)
      await content.linkBlob(name, blob.digest)
    }
    const { digest, mediaType, bytes } = manifest
    const by = (manifest === image ? reference : digest) as typeof digest
    await content.pushManifest({ repository: name, reference: by, mediaType, bytes })
  }
}
