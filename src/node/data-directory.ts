/** A data directory without its node: for commands that look at what is on disk, and put it right. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createEventBus } from '../events/event-bus.ts'
import { systemClock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import { createLogger, silentLogger } from '../lib/logger.ts'
import { systemRandom } from '../lib/random.ts'
import { prepareAdoption } from '../storage/adoption.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { type Damage, openDamage } from '../storage/damage.ts'
import { openDiskBlobStore } from '../storage/disk-blob-store.ts'
import { createDiskLinkFiles } from '../storage/disk-link-files.ts'
import { type IndexDb, openIndexDb } from '../storage/index-db.ts'
import { type Ledger, openLedger } from '../storage/ledger.ts'
import { createLinkJournal, type LinkFiles, type LinkJournal } from '../storage/link-journal.ts'

export interface DataDirectory extends AsyncDisposable {
  readonly directory: string
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly ledger: Ledger
  readonly files: LinkFiles
  readonly links: LinkJournal
  readonly damage: Damage
}

/** @throws DATA_MISSING, DATA_IN_USE while a node or another command has it open */
export async function openDataDirectory(directory: string): Promise<DataDirectory> {
  const found = await stat(directory).catch(() => undefined)
  if (found?.isDirectory() !== true) {
    const message = `there is no directory ${directory}; give the one that holds docker/ with --data`
    throw new EntrepotError('DATA_MISSING', message)
  }
  await mkdir(join(directory, 'entrepot'), { recursive: true, mode: 0o700 })
  await using building = new AsyncDisposableStack()
  const clock = systemClock
  const logger = createLogger({}, { logLevel: 'warn' })
  const index = building.use(await openIndexDb(join(directory, 'entrepot', 'index')))
  await prepareAdoption(index)
  const blobs = await openDiskBlobStore({ directory })
  const epoch = Buffer.from(systemRandom.bytes(12)).toString('base64url')
  const ledger = await openLedger({ index }, { epoch })
  const files = createDiskLinkFiles({ directory })
  const links = building.use(createLinkJournal({ index, files, clock, logger }))
  const events = createEventBus({ logger })
  // Commands tell of each finding themselves.
  const damage = await openDamage({ index, events, clock, logger: silentLogger })
  const parts = building.move()
  return {
    directory,
    index,
    blobs,
    ledger,
    files,
    links,
    damage,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
