/** The upload sessions of a node in memory, those that rest in the order in which they were last heard of. */
import type { RepositoryName } from '../oci/name.ts'
import type { Stage } from './blob-store.ts'
import { tooManySessions } from './upload-refusals.ts'

export interface UploadSession {
  readonly id: string
  readonly repository: RepositoryName
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number
  /** Bytes that came, while it rests. */
  size: number
  /** When it was last heard of, milliseconds since the Unix epoch. */
  lastMs: number
  /** It is being removed: for its client it is gone. */
  isEnding: boolean
  /** A file of it may be in the staging directory. */
  hasFile: boolean
  /** The index has a row of it, or may have: a write that failed can turn out to be on disk. */
  mayHaveRow: boolean
  /** Resolves when the row is durable; undefined where nobody asked for one, or it failed. */
  row: Promise<void> | undefined
  /** Open while a request of the session is under way. */
  stage: Stage | undefined
}

export interface UploadTable {
  get(id: string): UploadSession | undefined
  all(): Iterable<UploadSession>
  add(session: UploadSession): void
  /** @returns whether the session is the caller's alone now, until `release`. */
  take(session: UploadSession): boolean
  /** It rests again, as the one that was heard of last; unless it was removed. */
  release(session: UploadSession): void
  isAtWork(session: UploadSession): boolean
  remove(session: UploadSession): void
  /**
   * Makes room for one session among `most`: those give way that were not heard of for longest, ones without a byte first.
   * @returns those that are out of the table now. @throws OciError TOOMANYREQUESTS (503) where none may give way
   */
  makeRoom(most: number, nowMs: number): readonly UploadSession[]
}

/**
 * Milliseconds without a request after which a session with bytes gives way to a new one: twice the silence that a
 * connection may have, and longer than clients wait before they try a chunk again.
 */
const GIVES_WAY_MS = 600_000

export function createUploadTable(): UploadTable {
  const sessions = new Map<string, UploadSession>()
  /** Those that rest; a set keeps the order in which they began to. */
  const empty = new Set<UploadSession>()
  const filled = new Set<UploadSession>()

  function rest(session: UploadSession): void {
    const resting = session.size === 0 ? empty : filled
    resting.add(session)
  }

  function leave(session: UploadSession): boolean {
    return empty.delete(session) || filled.delete(session)
  }

  function remove(session: UploadSession): void {
    leave(session)
    sessions.delete(session.id)
  }

  /** The one that rests longest of those without a byte; of the others only where there is none. */
  function givingWay(nowMs: number): UploadSession | undefined {
    const [first] = empty.size > 0 ? empty : filled
    if (first === undefined || first.size === 0) return first
    return nowMs - first.lastMs >= GIVES_WAY_MS ? first : undefined
  }

  return {
    get: (id) => sessions.get(id),
    all: () => sessions.values(),
    add: (session) => {
      sessions.set(session.id, session)
      rest(session)
    },
    take: leave,
    release: (session) => {
      if (sessions.get(session.id) === session) rest(session)
    },
    isAtWork: (session) => !empty.has(session) && !filled.has(session),
    remove,
    makeRoom: (most, nowMs) => {
      const gone: UploadSession[] = []
      while (sessions.size >= most) {
        const oldest = givingWay(nowMs)
        if (oldest === undefined) throw tooManySessions(most)
        remove(oldest)
        gone.push(oldest)
      }
      return gone
    },
  }
}

export function newSession(
  id: string,
  repository: RepositoryName,
  startedAtMs: number,
): UploadSession {
  return {
    id,
    repository,
    startedAtMs,
    size: 0,
    lastMs: startedAtMs,
    isEnding: false,
    hasFile: false,
    mayHaveRow: false,
    row: undefined,
    stage: undefined,
  }
}
