/** What the index has of upload sessions: a row from their first bytes on, so that a restart goes on with them. */
import type { BlobStore } from './blob-store.ts'
import type { IndexDb, Transaction } from './index-db.ts'
import { UPLOAD } from './index-tables.ts'
import {
  createUploadTable,
  newSession,
  type UploadSession,
  type UploadTable,
} from './upload-table.ts'

export interface UploadRows {
  /** The sessions that an earlier run left, each with the bytes that came. */
  read(): Promise<UploadTable>
  /** Makes the session outlive a restart. Resolves when it does. */
  keep(session: UploadSession): Promise<void>
  /** Forgets the session in a transaction that does more. */
  forgetIn(tx: Transaction, session: UploadSession): void
  forget(session: UploadSession): Promise<void>
}

/** Rows read at once, more than there may be sessions. */
const READ_AT_ONCE = 200_000

export interface UploadRowsDeps {
  readonly blobs: Pick<BlobStore, 'stages'>
  readonly index: IndexDb
}

export function createUploadRows({ blobs, index }: UploadRowsDeps): UploadRows {
  function forgetIn(tx: Transaction, { id, mayHaveRow }: UploadSession): void {
    if (mayHaveRow) tx.delete(UPLOAD, id)
  }

  return {
    read: async () => {
      const stages = new Map((await blobs.stages()).map((stage) => [String(stage.name), stage]))
      const rows = await index.page(UPLOAD, { limit: READ_AT_ONCE })
      const found = rows.map(([id, { repository, startedAtMs }]): UploadSession => {
        const { size = 0, modifiedAtMs = 0 } = stages.get(id) ?? {}
        const lastMs = Math.max(startedAtMs, modifiedAtMs)
        const written = { hasFile: true, mayHaveRow: true, row: Promise.resolve() }
        return { ...newSession(id, repository, startedAtMs), ...written, size, lastMs }
      })
      const table = createUploadTable()
      for (const session of found.sort((a, b) => a.lastMs - b.lastMs)) table.add(session)
      return table
    },
    keep: (session) => {
      const { id, repository, startedAtMs } = session
      session.mayHaveRow = true
      session.row ??= index
        .transact((tx) => tx.put(UPLOAD, id, { repository, startedAtMs }))
        .catch((err: unknown) => {
          session.row = undefined
          throw err
        })
      return session.row
    },
    forgetIn,
    forget: async (session) => {
      if (session.mayHaveRow) await index.transact((tx) => forgetIn(tx, session))
    },
  }
}
