/**
 * The scrub: after a start every blob that the index has is looked for on the disk, slowly, in the background. What is not
 * there, or not of its size, counts as damaged from then on, and is fetched again. Bytes are not read: `verify` does that.
 */
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { parseKeyText } from '../record/tag-record.ts'
import type { BlobStore } from './blob-store.ts'
import type { DamageReports } from './damage.ts'
import type { IndexDb } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { BLOB, MANIFEST } from './index-tables.ts'

export interface ScrubDeps {
  readonly index: Pick<IndexDb, 'page'>
  readonly blobs: Pick<BlobStore, 'stat'>
  readonly damage: DamageReports
  readonly clock: Clock
  readonly logger: Logger
}

export interface Scrub extends AsyncDisposable {
  start(): void
}

/** Rows looked at together. */
const PAGE = 64
/** Between two pages, milliseconds: at most 1,280 looks a second, a small part of what a disk can do. */
const REST_MS = 50

export function createScrub({ index, blobs, damage, clock, logger }: ScrubDeps): Scrub {
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let [looks, found] = [0, 0]

  async function run(): Promise<void> {
    try {
      for (const table of [MANIFEST, BLOB]) {
        const rows = pagesOf<{ readonly size: number }>(index, table, { limit: PAGE })
        for await (const page of rows) {
          await Promise.all(page.map(([key, { size }]) => look(key, size)))
          await clock.sleep(REST_MS, { signal: stop.signal })
        }
      }
      logger.debug({ looks, found }, 'blobs of the index looked for')
    } catch (err) {
      if (!stop.signal.aborted) logger.warn({ err, looks }, 'blobs of the index not looked for')
    }
  }

  async function look(key: string, size: number): Promise<void> {
    const { repository, reference } = parseKeyText(key)
    const digest = reference as Digest
    looks += 1
    const stat = await blobs.stat(digest)
    if (stat?.size === size) return
    found += 1
    const came = stat === undefined ? 'there is no file' : `the file has ${stat.size}`
    await damage.report(repository, digest, `expected ${size} bytes, ${came}`)
  }

  return {
    start: () => {
      running ??= run()
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}
