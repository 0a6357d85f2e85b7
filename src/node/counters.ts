/** What has happened since the start of the process, counted for its status. */
import type { EventBus } from '../events/event-bus.ts'
import type { MeshEventKind } from '../events/mesh-event.ts'

/** The counts of now, by name. */
export type Counters = () => Readonly<Record<string, number>>

const COUNTED: readonly (readonly [MeshEventKind, string])[] = [
  ['record-stored', 'recordsStored'],
  ['record-refused', 'recordsRefused'],
  ['blob-fetched', 'blobsFetched'],
  ['conflict', 'conflicts'],
  ['blob-damaged', 'blobsDamaged'],
  ['blob-repaired', 'blobsRepaired'],
  ['stranger-refused', 'strangersRefused'],
  ['record-parked', 'recordsParked'],
  ['peer-cut-off', 'peersCutOff'],
]

export function createCounters({ events }: { readonly events: EventBus }): Counters {
  const counters: Record<string, number> = {}
  for (const [kind, name] of COUNTED) {
    counters[name] = 0
    events.on(kind, () => {
      counters[name] = (counters[name] ?? 0) + 1
    })
  }
  counters.bytesFetched = 0
  events.on('blob-fetched', ({ sizeBytes }) => {
    counters.bytesFetched = (counters.bytesFetched ?? 0) + sizeBytes
  })
  return () => ({ ...counters })
}
