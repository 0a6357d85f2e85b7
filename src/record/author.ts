/** The author: turns what a push or a delete did into this node's next signed record. */
import { contextOf, type History } from './history.ts'
import type { Identity } from './identity.ts'
import { signRecord } from './record-codec.ts'
import type { DeleteRecord, PutRecord, SignedRecord } from './tag-record.ts'
import type { LogicalClock } from './time.ts'

type Draft<T> = Omit<T, 'realm' | 'time' | 'seen'>

export interface Author {
  /**
   * Signs `draft` over everything that `history` knows for its key.
   * @throws RangeError when the record would be larger than what every receiver accepts.
   */
  sign(draft: Draft<PutRecord> | Draft<DeleteRecord>, history: History): SignedRecord
}

export interface AuthorDeps {
  readonly identity: Identity
  readonly logicalClock: LogicalClock
}

export function createAuthor(
  { identity, logicalClock }: AuthorDeps,
  options: { readonly realm: string },
): Author {
  return {
    sign: (draft, history) => {
      const seen = contextOf(history)
      const time = logicalClock.next(seen.values())
      return signRecord({ ...draft, realm: options.realm, time, seen }, identity)
    },
  }
}
