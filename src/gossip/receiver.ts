/**
 * The receiver stores what other nodes say: admitted records in the ledger, parked ones aside, all of a batch in one
 * durable transaction. A record already known changes nothing and is told to nobody.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Arrival } from '../events/mesh-event.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import { decodeStoredRecord } from '../record/record-codec.ts'
import { keyText, type SignedRecord } from '../record/tag-record.ts'
import type { LogicalClock } from '../record/time.ts'
import type { IndexDb, Transaction } from '../storage/index-db.ts'
import { META, PARKED } from '../storage/index-tables.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Admission, Verdict } from './admission.ts'

export type RemoteArrival = Exclude<Arrival, { readonly via: 'push' }>

export interface Receiver {
  /**
   * Stores the admitted ones of `verdicts`; `alongside` writes into the same transaction (the reader's position).
   * @throws PARKED_FULL when a record has to be parked and there is no room: the batch leaves no trace.
   */
  receive(
    verdicts: readonly Verdict[],
    arrival: RemoteArrival,
    alongside?: (tx: Transaction) => void,
  ): Promise<void>
  /** Tells an operator, once per writer and reason. */
  report(verdict: Verdict, from: NodeName): void
  /** Looks at the parked records again: at start, and when time has passed. */
  unpark(): Promise<void>
}

export interface ReceiverDeps {
  readonly index: IndexDb
  readonly ledger: Ledger
  readonly logicalClock: LogicalClock
  readonly admission: Admission
  readonly events: EventBus
  readonly logger: Logger
}

/** Parked records, at most: 4 KiB each. Beyond it a neighbour's feed is not read on, so nothing is passed over. */
const MAX_PARKED = 10_000
/** Refusals that are remembered so as not to be reported again. */
const MAX_REPORTED = 1_000

export function createReceiver(deps: ReceiverDeps): Receiver {
  const { index, ledger, logicalClock, admission, events, logger } = deps
  const reported = createSeenSet({ limit: MAX_REPORTED })

  function park(
    tx: Transaction,
    verdict: Verdict & { readonly kind: 'parked' },
    from: string,
  ): void {
    const { signed, reason } = verdict
    if (tx.get(PARKED, signed.id) !== undefined) return
    const count = (tx.get(META, 'parked')?.last ?? 0) + 1
    if (count > MAX_PARKED) {
      const message = `more than ${MAX_PARKED} records wait for their time or their writer's right; look at the clocks of this node and of ${from}, and at the writers in the topology`
      throw new EntrepotError('PARKED_FULL', message, { context: { from, reason } })
    }
    tx.put(META, 'parked', { last: count })
    tx.put(PARKED, signed.id, { bytes: signed.bytes, from, reason })
  }

  function unparkRow(tx: Transaction, id: string): void {
    if (tx.get(PARKED, id) === undefined) return
    tx.delete(PARKED, id)
    tx.put(META, 'parked', { last: Math.max(0, (tx.get(META, 'parked')?.last ?? 0) - 1) })
  }

  function store(tx: Transaction, signed: SignedRecord, arrival: Arrival): void {
    const change = ledger.add(tx, signed)
    unparkRow(tx, signed.id)
    if (change.kind === 'known') return
    tx.afterCommit(() => {
      logicalClock.observe(signed.record.time)
      events.emit({ kind: 'record-stored', signed, arrival })
      if (!change.cloned) return
      const { repository, reference } = signed.record
      logger.error(
        { writer: signed.writer, repository, reference },
        'two records of one identity: the key of a writer is in two places',
      )
      events.emit({ kind: 'writer-cloned', writer: signed.writer, key: { repository, reference } })
    })
  }

  function report(verdict: Verdict, from: NodeName): void {
    if (verdict.kind === 'admitted') return
    const writer = verdict.kind === 'parked' ? verdict.signed.writer : verdict.writer
    const key = verdict.kind === 'parked' ? keyText(verdict.signed.record).split('\0')[0] : ''
    if (!reported.add(`${verdict.kind} ${verdict.reason} ${writer ?? from} ${key}`)) return
    const { reason } = verdict
    const fields = { from, reason, ...(writer === undefined ? {} : { writer }) }
    logger.warn({ ...fields, repository: key }, 'record refused')
    events.emit({ kind: 'record-refused', ...fields })
  }

  return {
    report,
    receive: async (verdicts, arrival, alongside) => {
      await index.transact((tx) => {
        for (const verdict of verdicts) {
          if (verdict.kind === 'admitted') store(tx, verdict.signed, arrival)
          if (verdict.kind === 'parked') park(tx, verdict, arrival.from)
        }
        alongside?.(tx)
      })
      for (const verdict of verdicts) report(verdict, arrival.from)
    },
    unpark: async () => {
      let after = ''
      for (;;) {
        const page = await index.page(PARKED, { after, limit: 256 })
        await index.transact((tx) => {
          for (const [id, { bytes, from }] of page) {
            const signed = decodeStoredRecord(bytes)
            const verdict = admission.judge(signed)
            const arrival = { via: 'feed', from: from as NodeName } as const
            if (verdict.kind === 'admitted') store(tx, signed, arrival)
            if (verdict.kind === 'invalid') unparkRow(tx, id)
          }
        })
        const last = page.at(-1)
        if (last === undefined) return
        after = last[0]
      }
    },
  }
}
