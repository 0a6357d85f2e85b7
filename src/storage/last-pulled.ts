/** When clients last pulled which manifest: kept in memory, written now and then, so that a restart forgets little. */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { IndexDb } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { MANIFEST, PULLED, pairKey } from './index-tables.ts'

export interface LastPulled {
  note(repository: RepositoryName, digest: Digest): void
  /** Milliseconds since the Unix epoch, or a little after the time before where the clock went back; 0 where nobody ever did. */
  atMs(repository: RepositoryName, digest: Digest): number
  /** Reads up to when it was noted before the node started: what is pulled from now on is newer, whatever the clock says. */
  load(): Promise<void>
  /** Writes what was noted since the last time. */
  save(): Promise<void>
}

/** Manifests noted between two writes. Of more those are written early that are here; of what is left the older half is forgotten. */
const MAX_NOTED = 10_000
/** Rows read at a time. */
const PAGE = 1024
/** An image that is asked for comes within, milliseconds. */
const ARRIVES_MS = 86_400_000

export function createLastPulled({
  index,
  clock,
}: {
  readonly index: IndexDb
  readonly clock: Pick<Clock, 'now'>
}): LastPulled {
  /** In the order of their times. */
  const noted = new Map<string, number>()
  let isSaving = false
  /** A machine without a battery starts in 1970: the order of pulls is what counts. */
  let newestMs = 0

  /** It was served while it arrived: its row follows. */
  const mayCome = (atMs: number) => clock.now() - atMs < ARRIVES_MS

  async function save(): Promise<void> {
    const rows = [...noted]
    if (rows.length === 0) return
    await index.transact((tx) => {
      for (const [key, atMs] of rows) {
        if (tx.get(MANIFEST, key) !== undefined) tx.put(PULLED, key, atMs)
        // Of what is gone meanwhile nothing stays behind.
        else if (!mayCome(atMs)) tx.delete(PULLED, key)
      }
    })
    for (const [key, atMs] of rows) {
      const isDone = index.get(MANIFEST, key) !== undefined || !mayCome(atMs)
      if (isDone && noted.get(key) === atMs) noted.delete(key)
    }
  }

  async function saveEarly(): Promise<void> {
    if (isSaving) return
    isSaving = true
    await save().catch(() => {})
    // Not here, and perhaps never: an index of which nobody asked for an image.
    for (const key of noted.keys()) {
      if (noted.size <= MAX_NOTED / 2) break
      noted.delete(key)
    }
    isSaving = false
  }

  return {
    note: (repository, digest) => {
      const key = pairKey(repository, digest)
      noted.delete(key)
      const now = clock.now()
      newestMs = now >= newestMs ? now : newestMs + 1
      noted.set(key, newestMs)
      if (noted.size >= MAX_NOTED) void saveEarly()
    },
    atMs: (repository, digest) => {
      const key = pairKey(repository, digest)
      return noted.get(key) ?? index.get(PULLED, key) ?? 0
    },
    load: async () => {
      for await (const page of pagesOf(index, PULLED, { limit: PAGE }))
        newestMs = page.reduce((newest, [, atMs]) => Math.max(newest, atMs), newestMs)
    },
    save,
  }
}
