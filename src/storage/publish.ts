/** Makes a record of this node's own public: known, held as it says, and told to the mesh once it is durable. */
import type { EventBus } from '../events/event-bus.ts'
import { isDigest } from '../oci/name.ts'
import { aboutOf, type History } from '../record/history.ts'
import type { RecordKey, SignedRecord } from '../record/tag-record.ts'
import type { Transaction } from './index-db.ts'
import type { Held } from './index-tables.ts'
import type { Ledger } from './ledger.ts'

export interface PublishDeps {
  readonly ledger: Ledger
  readonly events: EventBus
}

/** What a delete of the key says: also of what, so that it goes where the record of a signature went. */
export function deletionOf(key: RecordKey, history: History) {
  const subject = isDigest(key.reference) ? aboutOf(history) : undefined
  return { kind: 'delete', ...key, ...(subject === undefined ? {} : { subject }) } as const
}

/** Inside a transaction. `held`: what the node serves for the key from now on; undefined = nothing. */
export function publish(
  { ledger, events }: PublishDeps,
  tx: Transaction,
  signed: SignedRecord,
  held: Held | undefined,
): void {
  ledger.add(tx, signed)
  ledger.hold(tx, signed.record, held)
  tx.afterCommit(() => {
    events.emit({ kind: 'record-stored', signed, arrival: { via: 'push' } })
    const { repository, reference } = signed.record
    const change = { kind: 'visible-changed', key: { repository, reference } } as const
    events.emit(held === undefined ? change : { ...change, digest: held.digest })
  })
}
