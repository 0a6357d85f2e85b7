/** What happened in a node, numbered: the last of it is kept, for readers that are slow or were away for a moment. */
import type { EventBus } from '../events/event-bus.ts'
import type { MeshEvent } from '../events/mesh-event.ts'

export interface LiveLog {
  /** Number of the last event; 0 before the first. */
  last(): number
  /** What happened after that number, in order; undefined where not all of it is known any more, or the number is none of this log. */
  after(number: number): readonly LoggedEvent[] | undefined
  /** Calls `listener` whenever something happened. @returns unsubscribe */
  onMore(listener: () => void): () => void
}

export interface LoggedEvent {
  readonly number: number
  readonly name: string
  readonly data: object
}

/** Events that are kept, some 1 KiB each: seconds of a busy node. The oldest goes first. */
const KEPT = 1_000

/** Lasts as long as the bus. */
export function createLiveLog({ events }: { readonly events: Pick<EventBus, 'onAny'> }): LiveLog {
  const kept: LoggedEvent[] = []
  const listeners = new Set<() => void>()
  let last = 0

  events.onAny((event) => {
    last += 1
    kept.push({ number: last, name: event.kind, data: toData(event) })
    if (kept.length > KEPT) kept.shift()
    for (const listener of listeners) listener()
  })

  return {
    last: () => last,
    after: (number) => {
      const missed = last - number
      if (missed < 0 || missed > kept.length) return undefined
      return kept.slice(kept.length - missed)
    },
    onMore: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

function toData(event: MeshEvent): object {
  if (event.kind !== 'record-stored' && event.kind !== 'record-parked') return event
  const { signed, arrival, kind } = event
  const { repository, reference } = signed.record
  return { kind, arrival, id: signed.id, repository, reference, writer: signed.writer }
}
