/** What a node keeps, put together: ledger, rows, damage and leases over one index and one blob store, and the content over them. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { type Random, randomText } from '../lib/random.ts'
import type { RepositoryName } from '../oci/name.ts'
import { type Author, createAuthor } from '../record/author.ts'
import type { Identity } from '../record/identity.ts'
import { createLogicalClock, type LogicalClock } from '../record/time.ts'
import { type AdoptedTags, createAdoptedTags } from '../storage/adopted-tags.ts'
import { type BlobLeases, createBlobLeases } from '../storage/blob-leases.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Graces } from '../storage/collected-item.ts'
import type { ContentKeeper, ContentReader, ContentWriter } from '../storage/content.ts'
import { createContentKeeper } from '../storage/content-keeper.ts'
import { createContentReader } from '../storage/content-reader.ts'
import { type ContentRows, createContentRows } from '../storage/content-rows.ts'
import { createContentWriter, type SparsePolicy } from '../storage/content-writer.ts'
import { type Damage, openDamage } from '../storage/damage.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { EPOCH_BYTES, type Ledger, newestTime, openLedger } from '../storage/ledger.ts'
import { createLinkJournal, type LinkFiles, type LinkJournal } from '../storage/link-journal.ts'
import type { NodeName } from '../topology/topology.ts'

export interface ContentStoreDeps {
  /** Of the mesh: it never changes. */
  readonly realm: string
  readonly self: NodeName
  /** By the topology that holds now: a store outlives it. */
  readonly tagsMayMove: (repository: RepositoryName) => boolean
  readonly identity: Identity
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly linkFiles: LinkFiles
  /** Before what frees space: the disk may be full. */
  readonly makeRoom?: () => Promise<void>
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface ContentStoreOptions {
  /** Whether pushed manifests may lack something. */
  readonly sparse: SparsePolicy
  readonly graces: Graces
}

export interface ContentStore {
  readonly ledger: Ledger
  readonly links: LinkJournal
  readonly rows: ContentRows
  readonly logicalClock: LogicalClock
  readonly author: Author
  readonly damage: Damage
  readonly leases: BlobLeases
  readonly adopted: AdoptedTags
  readonly keeper: ContentKeeper
  readonly content: ContentReader & ContentWriter & ContentKeeper
}

/** Nothing in it comes of a topology: it stays when that changes. The link journal and the ledger are running: they are the caller's to dispose of. */
export async function openContentStore(
  deps: ContentStoreDeps,
  { sparse, graces }: ContentStoreOptions,
): Promise<ContentStore> {
  const { realm, self, tagsMayMove, identity, index, blobs, events, clock, random } = deps
  const logger = deps.logger.child({ room: 'storage' })
  const ledger = await openLedger({ index, logger }, { epoch: randomText(random, EPOCH_BYTES) })
  const damage = await openDamage({ index, events, clock, logger })
  const links = createLinkJournal({ index, files: deps.linkFiles, clock, logger })
  const rows = createContentRows({ ledger, links })
  const logicalClock = createLogicalClock({ clock }, newestTime(index))
  const author = createAuthor({ identity, logicalClock }, { realm })
  const leases = createBlobLeases({ clock, random }, { keepMs: graces.unusedMs })
  const adopted = createAdoptedTags({
    ledger,
    rows,
    node: self,
    onKept: (repository, from, to) =>
      logger.warn(
        { repository, tag: from, kept: to },
        'the mesh knows another manifest for a tag that was found on disk: the one of the disk is kept under another tag',
      ),
  })
  const store = { index, blobs, leases, ledger, rows, damage, adopted, events }
  const keeper = createContentKeeper(store)
  const content = {
    ...createContentReader(store),
    ...createContentWriter({ ...store, author, sparse, tagsMayMove, makeRoom: deps.makeRoom }),
    ...keeper,
  }
  return { ledger, links, rows, logicalClock, author, damage, leases, adopted, keeper, content }
}
