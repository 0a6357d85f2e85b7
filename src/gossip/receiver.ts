/**
 * The receiver stores what other nodes say: admitted records in the ledger, parked ones aside, all of a batch in one
 * durable transaction. A record already known changes nothing and is told to nobody.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Arrival } from '../events/mesh-event.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import { decodeStoredRecord } from '../record/record-codec.ts'
import { keyText, type SignedRecord } from '../record/tag-record.ts'
import { type LogicalClock, msOfTime } from '../record/time.ts'
import type { IndexDb, Transaction } from '../storage/index-db.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { NodeName } from '../topology/topology.ts'
import { type Admission, MAX_AHEAD_MS, type Verdict } from './admission.ts'
import { tellConflict } from './conflict-news.ts'
import { createPark, type Parked, type ParkedVerdict } from './park.ts'

export type RemoteArrival = Exclude<Arrival, { readonly via: 'push' }>

/** What came, and how. */
export interface Received {
  readonly verdict: Verdict
  readonly arrival: RemoteArrival
}

export interface Receiver {
  /**
   * Stores the admitted ones of `verdicts` and parks what has to wait. `alongside` writes into the same transaction (the reader's
   * position); it is told how many found no room in the park: they have to be read again.
   */
  receive(
    verdicts: readonly Verdict[],
    arrival: RemoteArrival,
    alongside?: (tx: Transaction, leftOut: number) => void,
  ): Promise<void>
  /** The same for news that came in different ways. */
  receiveEach(items: readonly Received[]): Promise<void>
  /** Whether a parked record is news here, and has room. */
  parks(verdict: ParkedVerdict): boolean
  /** Grows when a park that was full has room again. */
  roomMade(): number
  /** Tells an operator, once per writer and reason. */
  report(verdict: Verdict, from: NodeName): void
  /** Looks at all that an earlier process parked: its writer may count in the topology of now, its time may have come. */
  openPark(): Promise<void>
  /** Stores the parked records whose time has come, in the order of their times. */
  unpark(): Promise<void>
  /** Mesh time at which the next parked record is due, milliseconds since the Unix epoch; undefined = none waits for its time. */
  nextDueMs(): number | undefined
}

export interface ReceiverDeps {
  readonly index: IndexDb
  readonly ledger: Ledger
  readonly logicalClock: LogicalClock
  readonly admission: Admission
  /** Told of each record that no honest node hands over. */
  readonly onInvalid?: (from: NodeName, reason: string) => void
  readonly events: EventBus
  readonly logger: Logger
}

/** Refusals that are remembered so as not to be reported again. */
const MAX_REPORTED = 1_000
/** Parked records stored in one transaction: a few milliseconds of the event loop. */
const UNPARK_BATCH = 256

export function createReceiver(deps: ReceiverDeps): Receiver {
  const { index, ledger, logicalClock, admission, onInvalid, events, logger } = deps
  const reported = createSeenSet({ limit: MAX_REPORTED })
  const park = createPark({ index })

  function store(tx: Transaction, signed: SignedRecord, arrival: Arrival): Parked | undefined {
    const change = ledger.add(tx, signed)
    const parked = park.remove(tx, signed.id)
    tx.afterCommit(() => {
      if (change.kind !== 'known') {
        logicalClock.observe(signed.record.time)
        events.emit({ kind: 'record-stored', signed, arrival })
        tellConflict({ events, logger }, change)
      }
      if (change.cloned) alarm(signed)
    })
    return parked
  }

  function alarm({ writer, record: { repository, reference } }: SignedRecord): void {
    logger.error(
      { writer, repository, reference },
      'two records of one identity: the key of a writer is in two places',
    )
    events.emit({ kind: 'writer-cloned', writer, key: { repository, reference } })
  }

  /** @returns whether it was left out */
  function setAside(tx: Transaction, verdict: ParkedVerdict, arrival: RemoteArrival): boolean {
    const outcome = park.put(tx, verdict, arrival.from)
    const { signed, reason } = verdict
    if (outcome === 'parked' && reason === 'future') {
      // Relayed: who comes after this node may have another time.
      tx.afterCommit(() => events.emit({ kind: 'record-parked', signed, arrival }))
    }
    return outcome === 'full'
  }

  /** Runs a transaction that may take records out of the park. */
  async function transact(work: (tx: Transaction, removed: Parked[]) => void): Promise<void> {
    const removed: Parked[] = []
    try {
      await index.transact((tx) => work(tx, removed))
    } catch (err) {
      park.restore(removed)
      throw err
    }
  }

  async function receive(
    items: readonly Received[],
    alongside?: (tx: Transaction, leftOut: number) => void,
  ): Promise<void> {
    await transact((tx, removed) => {
      let leftOut = 0
      for (const { verdict, arrival } of items) {
        if (verdict.kind === 'admitted') {
          const parked = store(tx, verdict.signed, arrival)
          if (parked !== undefined) removed.push(parked)
        }
        if (verdict.kind === 'parked' && setAside(tx, verdict, arrival)) leftOut += 1
      }
      alongside?.(tx, leftOut)
    })
    for (const { verdict, arrival } of items) report(verdict, arrival.from)
  }

  function report(verdict: Verdict, from: NodeName): void {
    if (verdict.kind === 'admitted') return
    if (verdict.kind === 'invalid') onInvalid?.(from, verdict.reason)
    const writer = verdict.kind === 'parked' ? verdict.signed.writer : verdict.writer
    const key = verdict.kind === 'parked' ? keyText(verdict.signed.record).split('\0')[0] : ''
    if (!reported.add(`${verdict.kind} ${verdict.reason} ${writer ?? from} ${key}`)) return
    const { reason } = verdict
    const fields = { from, reason, ...(writer === undefined ? {} : { writer }) }
    logger.warn({ ...fields, repository: key }, 'record refused')
    events.emit({ kind: 'record-refused', ...fields })
  }

  /** Judges parked records again, in order; up to the first that still has to wait, or all. */
  async function lookAt(parked: readonly Parked[], extent: 'all' | 'due'): Promise<void> {
    let isOver = false
    for (let at = 0; at < parked.length && !isOver; at += UNPARK_BATCH) {
      await transact((tx, removed) => {
        for (const { id } of parked.slice(at, at + UNPARK_BATCH)) {
          const row = park.row(id)
          if (row === undefined) {
            park.remove(tx, id)
            continue
          }
          const signed = decodeStoredRecord(row.bytes)
          const verdict = admission.judge(signed)
          if (verdict.kind === 'parked' && extent === 'all') continue
          isOver = verdict.kind === 'parked'
          if (verdict.kind === 'parked') return
          const arrival = { via: 'feed', from: row.from as NodeName } as const
          const gone =
            verdict.kind === 'admitted' ? store(tx, signed, arrival) : park.remove(tx, id)
          if (gone !== undefined) removed.push(gone)
        }
      })
    }
  }

  const waiting = () => park.list('future')

  return {
    report,
    receive: (verdicts, arrival, alongside) =>
      receive(
        verdicts.map((verdict) => ({ verdict, arrival })),
        alongside,
      ),
    receiveEach: (items) => receive(items),
    parks: park.takes,
    roomMade: park.roomMade,
    openPark: async () => {
      await park.open((signed) => {
        const verdict = admission.judge(signed)
        return verdict.kind === 'parked' ? verdict.reason : undefined
      })
      await lookAt(
        [...waiting(), ...park.list('no-writer')].sort((a, b) => a.time - b.time),
        'all',
      )
    },
    unpark: () => lookAt(waiting(), 'due'),
    nextDueMs: () => {
      const first = park.next()
      return first === undefined ? undefined : msOfTime(first.time) - MAX_AHEAD_MS
    },
  }
}
