/**
 * The line of repositories with deletes of other writers that this node applies in time. It holds one place a repository,
 * however many keys of it wait, and one timer for all; nothing of it is stored: a scan of the ledger makes it anew.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createNap } from '../lib/nap.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Applied, OriginDeletes } from './origin-deletes.ts'

export interface HeldUpRepository {
  readonly repository: RepositoryName
  /** Deletes that wait for a person. */
  readonly deletes: number
  /** Tags that the node shows, those included. */
  readonly tags: number
  /** Milliseconds since the Unix epoch. */
  readonly sinceMs: number
}

export interface DueKeys extends AsyncDisposable {
  /** A delete of the repository is due then, milliseconds since the Unix epoch. */
  note(repository: RepositoryName, dueAtMs: number): void
  /** Looks are taken from now on. */
  start(): void
  /** Repositories of which something deleted is still shown. */
  repositories(): readonly RepositoryName[]
  /** Those whose deletes wait for a person. */
  heldUp(): readonly HeldUpRepository[]
  /** A person lets all deletes of tags through that are known now. @returns how many */
  confirm(repository: RepositoryName): Promise<number>
}

export interface DueKeysDeps {
  readonly deletes: OriginDeletes
  readonly events: EventBus
  readonly clock: Clock
  /** Mesh time, milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  /** Whether every source has told what it knows since the node started. */
  readonly hasHeardAll: () => boolean
  readonly logger: Logger
}

/** The line is looked at so often at the latest, milliseconds: the clock may have been put right. */
const LOOK_MS = 60_000
/** And one repository so often at the most, milliseconds: what is due meanwhile goes together. */
const PAUSE_MS = 1_000
/** More for each entry of it, milliseconds: a look costs some 100 µs an entry, and so a twentieth of the time at most. */
const PAUSE_PER_ENTRY_MS = 2
/** After a look that failed, milliseconds: nothing can be written, or the index opens anew. */
const RETRY_MS = 10_000

/**
 * So long after the start a delete waits for the news of sources, milliseconds: what was pushed anew while the node was away keeps
 * its tag. One that is gone for long holds up nothing.
 */
const HEARING_MS = 60_000
/** Between two looks whether they have told, milliseconds. */
const HEARING_LOOK_MS = 250

interface Place {
  /** Infinity: until something else changes. */
  nextMs: number
  /** After a look. */
  rest?: { readonly sinceMs: number; readonly ms: number }
  heldUp?: HeldUpRepository
}

export function createDueKeys(deps: DueKeysDeps): DueKeys {
  const { deletes, events, clock, nowMs, logger } = deps
  /** Bounded by the number of repositories. */
  const line = new Map<RepositoryName, Place>()
  const nap = createNap({ clock })
  const stopping = new AbortController()
  const { signal } = stopping
  let running: Promise<void> | undefined

  function note(repository: RepositoryName, dueAtMs: number): void {
    const place = line.get(repository) ?? { nextMs: Number.POSITIVE_INFINITY }
    line.set(repository, place)
    if (dueAtMs >= place.nextMs) return
    place.nextMs = dueAtMs
    nap.wake()
  }

  // A newer tag may be one of the last now, in place of one that was deleted.
  const unsubscribe = events.on('visible-changed', ({ key: { repository }, digest }) => {
    if (digest !== undefined && line.has(repository)) note(repository, nowMs())
  })

  /** So long until the repository is looked at. A clock that was set back ends the rest. */
  function leftMs({ nextMs, rest }: Place, now: number): number {
    const restMs = rest === undefined || now < rest.sinceMs ? 0 : rest.sinceMs + rest.ms - now
    return Math.max(nextMs - now, restMs)
  }

  function first(now: number): readonly [RepositoryName | undefined, number] {
    let [found, least]: [RepositoryName | undefined, number] = [undefined, LOOK_MS]
    for (const [repository, place] of line) {
      const left = leftMs(place, now)
      if (left < least) [found, least] = [repository, left]
    }
    return [found, least]
  }

  async function hear(): Promise<void> {
    for (let leftMs = HEARING_MS; leftMs > 0 && !deps.hasHeardAll(); leftMs -= HEARING_LOOK_MS) {
      await clock.sleep(HEARING_LOOK_MS, { signal })
    }
  }

  async function run(): Promise<void> {
    await hear().catch(() => {})
    try {
      // Also those of which nothing waits any more: by the topology of now nothing may be deleted there.
      for (const repository of await deletes.heldUp()) note(repository, nowMs())
    } catch (err) {
      logger.warn({ err }, 'deletes that wait for a person not looked up')
    }
    while (!signal.aborted) {
      const [repository, left] = first(nowMs())
      if (repository === undefined || left > 0) await nap.take(Math.max(1, left), { signal })
      else await look(repository)
    }
  }

  async function look(repository: RepositoryName): Promise<void> {
    const place = line.get(repository)
    if (place === undefined) return
    // What comes while it is looked at is looked at again.
    place.nextMs = Number.POSITIVE_INFINITY
    let restMs = RETRY_MS
    try {
      const applied = await deletes.apply(repository, { signal })
      restMs = PAUSE_MS + PAUSE_PER_ENTRY_MS * applied.entries
      tellHeldUp(repository, place, applied)
      if (applied.nextMs !== undefined) place.nextMs = Math.min(place.nextMs, applied.nextMs)
      if (applied.left === 0 && place.nextMs === Number.POSITIVE_INFINITY) line.delete(repository)
    } catch (err) {
      if (signal.aborted) return
      logger.warn({ err, repository }, 'deletes not applied')
      place.nextMs = nowMs()
    }
    place.rest = { sinceMs: nowMs(), ms: restMs }
  }

  function tellHeldUp(repository: RepositoryName, place: Place, applied: Applied): void {
    const { heldUp, heldUpSinceMs, isNewlyHeldUp, tags } = applied
    if (heldUpSinceMs === undefined) {
      delete place.heldUp
      return
    }
    place.heldUp = { repository, deletes: heldUp, tags, sinceMs: heldUpSinceMs }
    if (!isNewlyHeldUp) return
    logger.warn(
      { repository, deletes: heldUp, tags },
      'too many deletes at once wait for a person: `entrepot deletes` lists and confirms them',
    )
    events.emit({ kind: 'deletes-held-up', repository, deletes: heldUp, tags })
  }

  return {
    note,
    start: () => {
      running ??= run()
    },
    repositories: () => [...line.keys()],
    heldUp: () => [...line.values()].flatMap(({ heldUp }) => heldUp ?? []),
    confirm: async (repository) => {
      const confirmed = await deletes.confirm(repository)
      const place = line.get(repository)
      // A person waits for it.
      if (place !== undefined) delete place.rest
      if (confirmed > 0) note(repository, nowMs())
      return confirmed
    },
    [Symbol.asyncDispose]: async () => {
      unsubscribe()
      stopping.abort()
      await running
    },
  }
}
