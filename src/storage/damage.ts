/**
 * Damage: blobs whose bytes on this disk are not what they must be. Each is absent for every reader, and has a row, until
 * whole bytes are in its place again: of a push, or of another node.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { BLOB, DAMAGED, type DamagedRow, MANIFEST, pairKey } from './index-tables.ts'

/** For whoever reads bytes and finds that they are not whole. */
export interface DamageReports {
  /** Resolves when it is noted. It never rejects: the reader has another failure to tell of. */
  report(repository: RepositoryName, digest: Digest, why: string): Promise<void>
}

export interface Damage extends DamageReports {
  has(digest: Digest): boolean
  /** Inside a transaction: verified bytes are in its place. */
  mended(tx: Transaction, digest: Digest): void
  /** Damaged blobs by digest, only those after one. */
  page(
    after: string,
    limit: number,
  ): Promise<readonly { readonly digest: Digest; readonly row: DamagedRow }[]>
}

export interface DamageDeps {
  readonly index: IndexDb
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** Repositories kept with a damaged blob: one that can be asked is enough, and the row stays small. */
const MAX_REPOSITORIES = 8
/** Rows read at a time. */
const PAGE = 256

/** Opens what earlier runs found. */
export async function openDamage({ index, events, clock, logger }: DamageDeps): Promise<Damage> {
  /** Asked at every read of a blob, so it is in memory: some 100 bytes for each damaged blob. */
  const damaged = new Set<Digest>()

  async function page(after: string, limit: number) {
    const rows = await index.page(DAMAGED, { after, limit })
    return rows.map(([digest, row]) => ({ digest: digest as Digest, row }))
  }

  function note(tx: Transaction, repository: RepositoryName, digest: Digest, why: string): void {
    const key = pairKey(repository, digest)
    // Collected while it was read: the rows go before the file.
    if (tx.get(BLOB, key) === undefined && tx.get(MANIFEST, key) === undefined) return
    if (!noteDamage(tx, { repository, digest, why, foundAtMs: clock.now() })) return
    tx.afterCommit(() => {
      if (damaged.has(digest)) return
      damaged.add(digest)
      logger.error({ digest, repository, why }, 'blob is damaged, it will be fetched again')
      events.emit({ kind: 'blob-damaged', digest, why })
    })
  }

  for (let after = ''; ; ) {
    const found = await page(after, PAGE)
    for (const { digest } of found) damaged.add(digest)
    const last = found.at(-1)
    if (last === undefined) break
    after = last.digest
  }

  return {
    has: (digest) => damaged.has(digest),
    report: async (repository, digest, why) => {
      try {
        if (index.get(DAMAGED, digest)?.repositories.includes(repository)) return
        await index.transact((tx) => note(tx, repository, digest, why))
      } catch (err) {
        logger.error({ err, digest, repository, why }, 'blob is damaged, and that was not noted')
      }
    },
    mended: (tx, digest) => {
      if (tx.get(DAMAGED, digest) === undefined) return
      tx.delete(DAMAGED, digest)
      tx.afterCommit(() => {
        damaged.delete(digest)
        logger.info({ digest }, 'blob is whole again')
        events.emit({ kind: 'blob-repaired', digest })
      })
    },
    page,
  }
}

export interface Found {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly why: string
  /** Milliseconds since the Unix epoch. */
  readonly foundAtMs: number
}

/** Writes the row, or adds the repository to it. @returns false when there was nothing to add. */
export function noteDamage(
  tx: Transaction,
  { repository, digest, why, foundAtMs }: Found,
): boolean {
  const row = tx.get(DAMAGED, digest) ?? { foundAtMs, why, repositories: [] }
  const { repositories } = row
  if (repositories.includes(repository) || repositories.length >= MAX_REPOSITORIES) return false
  tx.put(DAMAGED, digest, { ...row, repositories: [...repositories, repository] })
  return true
}
