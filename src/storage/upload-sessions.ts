/** Upload sessions: a client's blob on its way in, between POST and the closing PUT. Those with bytes outlive a restart. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import { type BlobStore, oneCallStage, type Stage, type StageName } from './blob-store.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { atMost, atWork, otherBytes } from './upload-refusals.ts'
import { createUploadRows } from './upload-rows.ts'
import { newSession, type UploadSession, type UploadTable } from './upload-table.ts'

export interface UploadSessions {
  /**
   * Nothing is written for it yet: it is durable once bytes are. At the bound it takes the place of the session that was
   * not heard of for longest: one without a byte, else one that rests for ten minutes.
   * @returns the session's id, a UUID. @throws OciError TOOMANYREQUESTS (503) when no session gives way
   */
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
   * A whole blob in one request: no session, for nobody could resume it. What came of it is gone when it fails. The bound
   * of requests holds these.
   * @throws OciError DIGEST_INVALID, SIZE_INVALID (413)
   */
  receive(digest: Digest, bytes: AsyncIterable<Uint8Array>, link: LinkBlob): Promise<void>
  cancel(repository: RepositoryName, id: string): Promise<void>
  /** Every session, and when it was last heard of. */
  list(): Promise<readonly UploadStat[]>
  /** Removes a session, unless bytes came since it was listed. @returns whether it is gone */
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

export interface UploadSessionsDeps {
  readonly blobs: BlobStore
  readonly index: IndexDb
  readonly clock: Clock
}

/** Bytes of a closing request from which on what came of it shall outlive a crash: less is sent again in no time. */
const KEEP_FROM_BYTES = 1024 * 1024

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
  const rows = createUploadRows({ blobs, index })
  let reading: Promise<UploadTable> | undefined

  /** All sessions, once what an earlier run left was read. */
  function sessions(): Promise<UploadTable> {
    reading ??= rows.read().catch((err: unknown) => {
      reading = undefined
      throw err
    })
    return reading
  }

  async function find(repository: RepositoryName, id: string) {
    const table = await sessions()
    const session = table.get(id)
    const isThere = session?.repository === repository && !session.isEnding
    if (!isThere) throw new OciError('BLOB_UPLOAD_UNKNOWN')
    return { table, session }
  }

  /** Runs `use` on the session's stage, alone. `isEnd`: to end it. */
  async function within<T>(
    repository: RepositoryName,
    id: string,
    use: (stage: Stage, session: UploadSession) => Promise<T>,
    { isEnd = false } = {},
  ): Promise<T> {
    const { table, session } = await find(repository, id)
    if (!table.take(session)) throw atWork()
    session.isEnding = isEnd
    try {
      const stage = await blobs.stage(id as StageName)
      Object.assign(session, { stage, size: stage.size, hasFile: true })
      try {
        return await use(stage, session)
      } finally {
        session.stage = undefined
        session.lastMs = clock.now()
        await stage.close()
      }
    } finally {
      session.isEnding = false
      table.release(session)
    }
  }

  /** The bytes go first: on a full disk the index can be written only when they are gone. */
  async function end(stage: Stage, session: UploadSession): Promise<void> {
    await stage.discard()
    session.size = 0
    await rows.forget(session)
    await leave(session)
  }

  const leave = async (session: UploadSession) => (await sessions()).remove(session)

  async function appendTo(
    stage: Stage,
    session: UploadSession,
    chunk: AsyncIterable<Uint8Array>,
    at: number | undefined,
  ): Promise<void> {
    if (at !== undefined && at !== stage.size) {
      const message = `expected a chunk that starts at ${stage.size}, got one at ${at}`
      throw new OciError('BLOB_UPLOAD_INVALID', { message, status: 416 })
    }
    const keepEarly = () => void rows.keep(session).catch(() => {})
    try {
      await stage.append(atMost(uploadBytes - stage.size, chunk, KEEP_FROM_BYTES, keepEarly))
      session.size = stage.size
    } catch (err) {
      session.size = stage.size
      // It can never become whole: its bytes would only fill the disk.
      if (err instanceof OciError) await end(stage, session)
      throw err
    }
  }

  return {
    begin: async (repository) => {
      const table = await sessions()
      const id = randomUUID()
      const gone = table.makeRoom(maxSessions, clock.now())
      table.add(newSession(id, repository, clock.now()))
      for (const session of gone) {
        if (session.hasFile) await end(await blobs.stage(session.id as StageName), session)
      }
      return id
    },
    offset: async (repository, id) => {
      const { session } = await find(repository, id)
      return session.stage?.size ?? session.size
    },
    append: (repository, id, chunk, { at } = {}) =>
      within(repository, id, async (stage, session) => {
        // Beside the bytes: it takes no longer than they do.
        const kept = rows.keep(session)
        kept.catch(() => {})
        await appendTo(stage, session, chunk, at)
        await kept
        return stage.size
      }),
    finish: (repository, id, digest, link, last) =>
      within(repository, id, async (stage, session) => {
        try {
          if (last !== undefined) await appendTo(stage, session, last.chunk, last.at)
        } catch (err) {
          // The client may go on from what came.
          if (!(err instanceof OciError) && stage.size > 0) await rows.keep(session).catch(() => {})
          throw err
        }
        const commit = await stage.commit(digest)
        if (commit.kind === 'mismatch') {
          await end(stage, session)
          throw otherBytes(digest, stage.size, commit.actual)
        }
        session.size = 0
        await link({ digest, size: commit.size }, (tx) => rows.forgetIn(tx, session))
        await leave(session)
      }),
    receive: async (digest, bytes, link) => {
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
    },
    cancel: (repository, id) => within(repository, id, end, { isEnd: true }),
    list: async () => {
      const table = await sessions()
      return Array.from(table.all(), (session) => ({
        id: session.id,
        repository: session.repository,
        size: session.stage?.size ?? session.size,
        // One at work is heard of now, however slow its bytes come.
        lastMs: table.isAtWork(session) ? clock.now() : session.lastMs,
      }))
    },
    expire: async ({ id, repository, size }) => {
      try {
        const { session } = await find(repository, id)
        if (session.size !== size) return false
        await within(repository, id, end, { isEnd: true })
        return true
      } catch (err) {
        // At work, or gone by itself.
        if (err instanceof OciError) return false
        throw err
      }
    },
  }
}
