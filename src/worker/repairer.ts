/**
 * The repairer fetches damaged blobs again: from any neighbour that lets this node read a repository that has them. What
 * fails is tried again for ever, more and more seldom. Where nothing is damaged, nothing runs and nothing waits.
 */
import type { EventBus } from '../events/event-bus.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createNap } from '../lib/nap.ts'
import type { Random } from '../lib/random.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Damage } from '../storage/damage.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { BLOB, DAMAGED, MANIFEST, pairKey } from '../storage/index-tables.ts'
import { digestOnDisk } from '../storage/verify.ts'
import type { Fetcher } from '../transfer/fetcher.ts'

export interface Repairer extends AsyncDisposable {
  /** Takes up what earlier runs left, and whatever is found from now on. */
  start(): void
}

export interface RepairerDeps {
  readonly damage: Pick<Damage, 'has' | 'mended' | 'page'>
  readonly index: IndexDb
  readonly blobs: BlobStore
  readonly fetcher: Pick<Fetcher, 'blob'>
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** A holder that restarts is back within seconds; a disk that no neighbour can mend is looked at every ten minutes. */
const RETRY = { firstMs: 1_000, capMs: 600_000 }
/** Rows read at a time. */
const PAGE = 64
/** Found just now and not looked at yet. Beyond it all rows are looked through: none is forgotten. */
const MAX_FRESH = 1_000

export function createRepairer(deps: RepairerDeps): Repairer {
  const { damage, index, blobs, fetcher, events, clock, random, logger } = deps
  const stop = new AbortController()
  const fresh = new Set<Digest>()
  let isSweepDue = false
  /** In the first sweep: what an earlier run found may have been put right by hand. */
  let isNew = true
  let attempts = 0
  let running: Promise<void> | undefined
  const nap = createNap({ clock })

  /** Goes on until nothing is damaged any more. */
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await mendFresh()
        if (isSweepDue) await sweep()
        if (fresh.size > 0 || isSweepDue) continue
        if ((await damage.page('', 1)).length === 0) break
      } catch (err) {
        if (!stop.signal.aborted) logger.warn({ err }, 'damaged blobs not looked through')
      }
      attempts += 1
      await rest(backoffMs(attempts, RETRY, random))
    }
    running = undefined
    // What came while the last look at the rows was under way.
    if (fresh.size > 0 || isSweepDue) resume()
  }

  function resume(): void {
    if (stop.signal.aborted) return
    nap.wake()
    running ??= run()
  }

  async function rest(ms: number): Promise<void> {
    if (await nap.take(ms, { signal: stop.signal })) isSweepDue = true
  }

  async function mendFresh(): Promise<void> {
    for (const digest of fresh) {
      if (stop.signal.aborted) return
      fresh.delete(digest)
      await mend(digest, true)
    }
  }

  async function sweep(): Promise<void> {
    isSweepDue = false
    const mustLook = isNew
    isNew = false
    for (let after = ''; !stop.signal.aborted; ) {
      const page = await damage.page(after, PAGE)
      for (const { digest } of page) {
        if (stop.signal.aborted) return
        await mend(digest, mustLook)
      }
      const last = page.at(-1)
      if (last === undefined) return
      after = last.digest
    }
  }

  /** `mustLook`: whether the file may be whole after all, which costs reading it. */
  async function mend(digest: Digest, mustLook: boolean): Promise<void> {
    const repositories = index.get(DAMAGED, digest)?.repositories ?? []
    const uses = repositories.flatMap((repository) => {
      const key = pairKey(repository, digest)
      const size = (index.get(BLOB, key) ?? index.get(MANIFEST, key))?.size
      return size === undefined ? [] : [{ repository, size }]
    })
    try {
      // Nobody has it any more: it is noted until the collector has taken the file.
      const isGone = uses.length === 0 && (await blobs.stat(digest)) === undefined
      if (isGone || (mustLook && (await isWhole(digest)))) return await clear(digest)
      for (const { repository, size } of uses) {
        const blob = { mediaType: 'application/octet-stream', digest, size }
        const options = { signal: stop.signal, onProgress: () => {}, isDamaged: true }
        const pull = await fetcher.blob(repository, { digest }, blob, options)
        if (pull.kind !== 'pulled') {
          logger.debug({ digest, repository, reason: pull.reason }, 'damaged blob not fetched')
        } else if (pull.from !== undefined || (await isWhole(digest))) {
          // Without a giver it may be the flight of a job that saw a file of the right size.
          return await clear(digest)
        }
      }
    } catch (err) {
      if (!stop.signal.aborted) logger.warn({ err, digest }, 'damaged blob not repaired')
    }
  }

  async function isWhole(digest: Digest): Promise<boolean> {
    // What cannot be read is not whole.
    return (
      (await digestOnDisk(blobs, digest, { signal: stop.signal }).catch(() => undefined)) === digest
    )
  }

  async function clear(digest: Digest): Promise<void> {
    await index.transact((tx) => damage.mended(tx, digest))
  }

  return {
    start: () => {
      events.on('blob-damaged', ({ digest }) => {
        if (fresh.size < MAX_FRESH) fresh.add(digest)
        else isSweepDue = true
        resume()
      })
      events.on('neighbour-up', () => {
        attempts = 0
        isSweepDue = true
        resume()
      })
      // Of a job, which fetched what was cut or lost.
      events.on('blob-fetched', ({ digest }) => {
        if (!damage.has(digest)) return
        clear(digest).catch((err: unknown) => logger.warn({ err, digest }, 'repair not noted'))
      })
      isSweepDue = true
      resume()
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort(new DOMException('node is stopping', 'AbortError'))
      await running
    },
  }
}
