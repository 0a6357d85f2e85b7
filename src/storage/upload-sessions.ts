/** Upload sessions: a client's blob on its way in, between POST and the closing PUT. They outlive a restart. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { createKeyedLock } from '../lib/keyed-lock.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import { type BlobStore, oneCallStage, type Stage, type StageName } from './blob-store.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { UPLOAD } from './index-tables.ts'
import { atMost, otherBytes, tooManySessions } from './upload-refusals.ts'

export interface UploadSessions {
  /** @returns the session's id, a UUID. @throws OciError TOOMANYREQUESTS (503) beyond the bound */
  begin(repository: RepositoryName): Promise<string>
  /** Bytes received, also while a chunk is on its way. @throws OciError BLOB_UPLOAD_UNKNOWN */
  offset(repository: RepositoryName, id: string): Promise<number>
  /**
   * Appends a chunk; where it is cut midway, what came stays. @returns bytes received in all.
   * @throws OciError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_INVALID (416 when `at` is not the offset), SIZE_INVALID (413: the
   * session ends)
   */
  append(
    repository: RepositoryName,
    id: string,
    chunk: AsyncIterable<Uint8Array>,
    options?: { readonly at?: number | undefined },
  ): Promise<number>
  /**
   * Verifies the bytes, with a last chunk, and makes them a blob; the session ends in the commit that links it.
   * @throws OciError DIGEST_INVALID: nothing is stored, the session ends; and what `append` throws
   */
  finish(
    repository: RepositoryName,
    id: string,
    digest: Digest,
    link: LinkBlob,
    last?: { readonly chunk: AsyncIterable<Uint8Array>; readonly at?: number | undefined },
  ): Promise<void>
  /**
   * A whole blob in one request: no session, for nobody could resume it. What came of it is gone when it fails.
   * @throws OciError DIGEST_INVALID, SIZE_INVALID (413), TOOMANYREQUESTS (503)
   */
  receive(digest: Digest, bytes: AsyncIterable<Uint8Array>, link: LinkBlob): Promise<void>
  cancel(repository: RepositoryName, id: string): Promise<void>
  /** Every session, and when it was last heard of. */
  list(): Promise<readonly UploadStat[]>
  /** Removes a session, unless it was heard of since it was listed. @returns whether it is gone */
  expire(upload: UploadStat): Promise<boolean>
}

/** Makes stored bytes a blob that a repository serves, in a commit that does `alongside` too. */
export type LinkBlob = (
  blob: { readonly digest: Digest; readonly size: number },
  alongside: (tx: Transaction) => void,
) => Promise<void>

export interface UploadStat {
  readonly id: string
  readonly repository: RepositoryName
  /** Bytes so far. */
  readonly size: number
  /** Milliseconds since the Unix epoch. */
  readonly lastMs: number
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export interface UploadSessionsDeps {
  readonly blobs: BlobStore
  readonly index: IndexDb
  readonly clock: Clock
}

/** Rows looked at in one go, more than there may be sessions. */
const LIST_AT_ONCE = 200_000

export interface UploadLimits {
  /** Sessions at once: each is a file that may grow to a layer's size. */
  readonly uploads: number
  /** Bytes of one upload. */
  readonly uploadBytes: number
}

export function createUploadSessions(
  { blobs, index, clock }: UploadSessionsDeps,
  { uploads: maxSessions, uploadBytes }: UploadLimits,
): UploadSessions {
  const busy = createKeyedLock()
  /** Uploads without a row: it is not written yet, or there will be none. They count too. */
  let rowless = 0
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
        // Who asks how far the upload is, right after it was cut, gets an answer also while the stage is being closed.
        await stage.close().finally(() => open.delete(id))
      }
    } finally {
      release()
    }
  }

  async function refuseTooMany(): Promise<void> {
    const sessions = await index.page(UPLOAD, { limit: maxSessions })
    if (sessions.length + rowless > maxSessions) throw tooManySessions(maxSessions)
  }

  async function appendTo(
    stage: Stage,
    id: string,
    chunk: AsyncIterable<Uint8Array>,
    at: number | undefined,
  ): Promise<void> {
    if (at !== undefined && at !== stage.size) {
      const message = `expected a chunk that starts at ${stage.size}, got one at ${at}`
      throw new OciError('BLOB_UPLOAD_INVALID', { message, status: 416 })
    }
    try {
      await stage.append(atMost(uploadBytes - stage.size, chunk))
    } catch (err) {
      // It can never become whole: its bytes would only fill the disk.
      if (err instanceof OciError) {
        await stage.discard()
        await end(id)
      }
      throw err
    }
  }

  async function end(id: string): Promise<void> {
    await index.transact((tx) => tx.delete(UPLOAD, id))
  }

  return {
    begin: async (repository) => {
      rowless += 1
      try {
        await refuseTooMany()
        const id = randomUUID()
        await index.transact((tx) => tx.put(UPLOAD, id, { repository, startedAtMs: clock.now() }))
        return id
      } finally {
        rowless -= 1
      }
    },
    offset: async (repository, id) => {
      check(repository, id)
      const stage = open.get(id)
      if (stage !== undefined) return stage.size
      return within(repository, id, async ({ size }) => size)
    },
    append: (repository, id, chunk, { at } = {}) =>
      within(repository, id, async (stage) => {
        await appendTo(stage, id, chunk, at)
        return stage.size
      }),
    finish: (repository, id, digest, link, last) =>
      within(repository, id, async (stage) => {
        if (last !== undefined) await appendTo(stage, id, last.chunk, last.at)
        const commit = await stage.commit(digest)
        if (commit.kind === 'stored') {
          return link({ digest, size: commit.size }, (tx) => tx.delete(UPLOAD, id))
        }
        await stage.discard()
        await end(id)
        throw otherBytes(digest, stage.size, commit.actual)
      }),
    receive: async (digest, bytes, link) => {
      rowless += 1
      try {
        await refuseTooMany()
        const stage = await blobs.stage(oneCallStage(randomUUID()))
        try {
          await stage.append(atMost(uploadBytes, bytes))
          const commit = await stage.commit(digest)
          if (commit.kind === 'mismatch') throw otherBytes(digest, stage.size, commit.actual)
          await link({ digest, size: commit.size }, () => {})
        } finally {
          // Nothing is left of it after a commit.
          await stage.discard()
        }
      } finally {
        rowless -= 1
      }
    },
    cancel: (repository, id) =>
      within(repository, id, async (stage) => {
        // The bytes first: on a full disk the index can be written only when they are gone.
        await stage.discard()
        await end(id)
      }),
    list: async () => {
      const stages = new Map((await blobs.stages()).map((stage) => [String(stage.name), stage]))
      const rows = await index.page(UPLOAD, { limit: LIST_AT_ONCE })
      return rows.map(([id, { repository, startedAtMs }]) => {
        const { size = 0, modifiedAtMs = 0 } = stages.get(id) ?? {}
        // One at work is heard of now, however slow its bytes come.
        const lastMs = open.has(id) ? clock.now() : Math.max(startedAtMs, modifiedAtMs)
        return { id, repository, size, lastMs }
      })
    },
    expire: async ({ id, repository, size }) => {
      try {
        return await within(repository, id, async (stage) => {
          if (stage.size !== size) return false
          await stage.discard()
          await end(id)
          return true
        })
      } catch (err) {
        // At work, or gone by itself.
        if (err instanceof OciError) return false
        throw err
      }
    },
  }
}
