/** What a node keeps from its start to its end, whatever topology it runs: the machine's part, and the content. */
import { join } from 'node:path'
import { createEventBus, type EventBus } from '../events/event-bus.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { createLogger, type Logger } from '../lib/logger.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Identity } from '../record/identity.ts'
import { prepareAdoption } from '../storage/adoption.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { openDiskBlobStore } from '../storage/disk-blob-store.ts'
import { createDiskLinkFiles } from '../storage/disk-link-files.ts'
import { type IndexDb, openIndexDb } from '../storage/index-db.ts'
import { createReserve, keepingReserve, reservePath } from '../storage/reserve.ts'
import { withSmallContent } from '../storage/small-content.ts'
import { createUploadSessions, type UploadSessions } from '../storage/upload-sessions.ts'
import type { NodeName } from '../topology/topology.ts'
import type { NodeConfig } from './config.ts'
import { type ContentStore, openContentStore } from './content-store.ts'
import { type Counters, createCounters } from './counters.ts'
import { openTlsFiles, type TlsFiles } from './tls-files.ts'
import { openTrust, type Trust } from './trust.ts'

export interface Foundation extends AsyncDisposable {
  readonly config: NodeConfig
  readonly self: NodeName
  readonly identity: Identity
  readonly events: EventBus
  readonly counters: Counters
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly store: ContentStore
  readonly uploads: UploadSessions
  readonly makeRoom: () => Promise<void>
  /** There may be content on disk that the index does not know. */
  readonly mustAdopt: boolean
  readonly tls: TlsFiles | undefined
  readonly trust: Trust
  readonly startedAtMs: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface FoundationDeps {
  readonly config: NodeConfig
  readonly identity: Identity
  readonly realm: string
  /** By the topology that holds when it is asked. */
  readonly tagsMayMove: (repository: RepositoryName) => boolean
}

/** The data directory has to be there. @throws EntrepotError with what to do, when something of the machine or the files is not as it must be */
export async function openFoundation(deps: FoundationDeps): Promise<Foundation> {
  const { config, identity, realm, tagsMayMove } = deps
  const { node: self, dataDirectory, sparse, graces } = config
  await using building = new AsyncDisposableStack()
  const clock = systemClock
  const random = systemRandom
  const logger = createLogger({ node: self }, { logLevel: config.logLevel })
  const events = createEventBus({ logger })
  const indexDirectory = join(dataDirectory, 'entrepot', 'index')
  const storageLogger = logger.child({ room: 'storage' })
  const reserve = building.use(
    createReserve({ clock, logger: storageLogger }, { path: reservePath(indexDirectory) }),
  )
  const { makeRoom } = reserve
  const index = building.use(
    await openIndexDb(indexDirectory, { clock, random, logger: storageLogger, reserve }),
  )
  reserve.start()
  const disk = withSmallContent(await openDiskBlobStore({ directory: dataDirectory }))
  const blobs = keepingReserve(disk, reserve)
  const linkFiles = createDiskLinkFiles({ directory: dataDirectory })
  const uploads = createUploadSessions({ blobs, index, clock }, config.bounds)
  const tlsLogger = logger.child({ room: 'node' })
  const tls =
    config.tls && building.use(await openTlsFiles(config.tls, { clock, logger: tlsLogger }))
  const trust = building.use(await openTrust(config.tlsCa, { clock, logger: tlsLogger }))
  const mustAdopt = await prepareAdoption(index)
  const own = { self, identity, index, blobs, events, makeRoom, clock, random, logger }
  const store = await openContentStore(
    { ...own, realm, tagsMayMove, linkFiles },
    { sparse, graces },
  )
  for (const part of [store.ledger, store.links]) building.use(part)
  const counters = createCounters({ events })
  const parts = building.move()
  return {
    ...own,
    config,
    counters,
    store,
    uploads,
    mustAdopt,
    tls,
    trust,
    startedAtMs: clock.now(),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
