/** A data directory without its node: for commands that look at what is on disk, and put it right. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createEventBus } from '../events/event-bus.ts'
import { systemClock } from '../lib/clock.ts'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'
import { createLogger, silentLogger } from '../lib/logger.ts'
import { randomText, systemRandom } from '../lib/random.ts'
import { prepareAdoption } from '../storage/adoption.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { type Damage, openDamage } from '../storage/damage.ts'
import { openDiskBlobStore } from '../storage/disk-blob-store.ts'
import { createDiskLinkFiles } from '../storage/disk-link-files.ts'
import { type IndexDb, openIndexDb } from '../storage/index-db.ts'
import { EPOCH_BYTES, type Ledger, openLedger } from '../storage/ledger.ts'
import { createLinkJournal, type LinkFiles, type LinkJournal } from '../storage/link-journal.ts'
import { createReserve, reservePath } from '../storage/reserve.ts'

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
    const what = found === undefined ? 'there is nothing' : 'that is a file'
    const message = `no data directory at ${directory}: ${what}. Give the directory of a node, or one that another registry filled, with --data`
    throw new EntrepotError('DATA_MISSING', message)
  }
  await makeDataDirectory(directory)
  await using building = new AsyncDisposableStack()
  const clock = systemClock
  const logger = createLogger({}, { logLevel: 'warn' })
  const indexDirectory = join(directory, 'entrepot', 'index')
  // Made by a node, and made again by the next: a command only gives it up.
  const reserve = building.use(
    createReserve({ clock, logger }, { path: reservePath(indexDirectory) }),
  )
  const deps = { clock, random: systemRandom, logger: silentLogger, reserve }
  const index = building.use(await openIndexDb(indexDirectory, deps))
  await reserve.makeRoom()
  await prepareAdoption(index)
  const blobs = await openDiskBlobStore({ directory })
  const epoch = randomText(systemRandom, EPOCH_BYTES)
  const ledger = building.use(await openLedger({ index, logger }, { epoch }))
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

/** Makes the part that is the node's own. @throws DATA_NOT_WRITABLE */
export async function makeDataDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    // Not recursive: then Node says ENOENT where the file system is read-only.
    await mkdir(join(directory, 'entrepot'), { mode: 0o700 }).catch((err: unknown) => {
      if (codeOf(err) !== 'EEXIST') throw err
    })
  } catch (cause) {
    const why =
      codeOf(cause) === 'EACCES' || codeOf(cause) === 'EROFS'
        ? 'it is not writable'
        : messageOf(cause)
    const message = `cannot use the data directory ${directory}: ${why}. Give another --data, or change its owner`
    throw new EntrepotError('DATA_NOT_WRITABLE', message, { cause })
  }
}
