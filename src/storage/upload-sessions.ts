/** Upload sessions: a client's blob on its way in, between POST and the closing PUT. They outlive a restart. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { createKeyedLock } from '../lib/keyed-lock.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobStore, Stage, StageName } from './blob-store.ts'
import type { IndexDb } from './index-db.ts'
import { UPLOAD } from './index-tables.ts'

export interface UploadSessions {
  /** @returns the session's id, a UUID. @throws OciError TOOMANYREQUESTS (503) beyond the bound */
  begin(repository: RepositoryName): Promise<string>
  /** Bytes received, also while a chunk is on its way. @throws OciError BLOB_UPLOAD_UNKNOWN */
  offset(repository: RepositoryName, id: string): Promise<number>
  /**
   * Appends a chunk; where it is cut midway, what came stays. @returns bytes received in all.
   * @throws OciError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_INVALID (416 when `at` is not the offset)
   */
  append(
    repository: RepositoryName,
    id: string,
    chunk: AsyncIterable<Uint8Array>,
    options?: { readonly at?: number | undefined },
  ): Promise<number>
  /** Verifies the bytes and makes them a blob. @throws OciError DIGEST_INVALID: nothing is stored, the session ends. */
  finish(repository: RepositoryName, id: string, digest: Digest): Promise<number>
  cancel(repository: RepositoryName, id: string): Promise<void>
  /** Removes sessions without a byte for so long, milliseconds. @returns how many. */
  expire(idleMs: number): Promise<number>
}

/** Sessions at once: each is a file that may grow to a layer's size. */
const MAX_SESSIONS = 1_000
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export interface UploadSessionsDeps {
  readonly blobs: BlobStore
  readonly index: IndexDb
  readonly clock: Clock
}

export function createUploadSessions({ blobs, index, clock }: UploadSessionsDeps): UploadSessions {
  const busy = createKeyedLock()
  /** Stages in use, at most one a session. */
  const open = new Map<string, Stage>()

  function check(repository: RepositoryName, id: string): void {
    const row = UUID.test(id) ? index.get(UPLOAD, id) : undefined
    if (row?.repository !== repository) throw new OciError('BLOB_UPLOAD_UNKNOWN')
  }

  /** Runs `use` on the session's stage, alone. */
  async function within<T>(
    repository: RepositoryName,
    id: string,
    use: (stage: Stage) => Promise<T>,
  ): Promise<T> {
    check(repository, id)
    const release = busy.tryAcquire(id)
    if (release === undefined) {
      const message = 'another request of this upload is under way; wait for it'
      throw new OciError('BLOB_UPLOAD_INVALID', { message, status: 409 })
    }
    try {
      const stage = await blobs.stage(id as StageName)
      open.set(id, stage)
      try {
        return await use(stage)
      } finally {
        open.delete(id)
        await stage.close()
      }
    } finally {
      release()
    }
  }

  async function end(id: string): Promise<void> {
    await index.transact((tx) => tx.delete(UPLOAD, id))
  }

  return {
    begin: async (repository) => {
      const sessions = await index.page(UPLOAD, { limit: MAX_SESSIONS })
      if (sessions.length >= MAX_SESSIONS) {
        const message = `${MAX_SESSIONS} uploads are open on this node; finish or cancel some, then try again`
        throw new OciError('TOOMANYREQUESTS', { message, status: 503 })
      }
      const id = randomUUID()
      await index.transact((tx) => tx.put(UPLOAD, id, { repository, startedAtMs: clock.now() }))
      return id
    },
    offset: async (repository, id) => {
      check(repository, id)
      const stage = open.get(id)
      if (stage !== undefined) return stage.size
      return within(repository, id, async ({ size }) => size)
    },
    append: (repository, id, chunk, { at } = {}) =>
      within(repository, id, async (stage) => {
        if (at !== undefined && at !== stage.size) {
          const message = `expected a chunk that starts at ${stage.size}, got one at ${at}`
          throw new OciError('BLOB_UPLOAD_INVALID', { message, status: 416 })
        }
        await stage.append(chunk)
        return stage.size
      }),
    finish: (repository, id, digest) =>
      within(repository, id, async (stage) => {
        const commit = await stage.commit(digest)
        await end(id)
        if (commit.kind === 'stored') return commit.size
        await stage.discard()
        const message = `expected ${digest}, the ${stage.size} bytes received are ${commit.actual}; push the blob again`
        throw new OciError('DIGEST_INVALID', { message })
      }),
    cancel: (repository, id) =>
      within(repository, id, async (stage) => {
        await end(id)
        await stage.discard()
      }),
    expire: async (idleMs) => {
      const stages = new Map((await blobs.stages()).map((stage) => [String(stage.name), stage]))
      const rows = await index.page(UPLOAD, { limit: MAX_SESSIONS })
      let expired = 0
      for (const [id, { repository, startedAtMs }] of rows) {
        const lastMs = Math.max(startedAtMs, stages.get(id)?.modifiedAtMs ?? 0)
        if (clock.now() - lastMs < idleMs) continue
        const isGone = await within(repository, id, async (stage) => {
          await end(id)
          await stage.discard()
          return true
        }).catch(() => false)
        if (isGone) expired += 1
      }
      return expired
    },
  }
}
