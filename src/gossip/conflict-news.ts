/** Tells of pushes that did not know of each other: the one that is shown everywhere, and those that lost to it. */
import type { EventBus } from '../events/event-bus.ts'
import type { Logger } from '../lib/logger.ts'
import type { History, SignedPut } from '../record/history.ts'
import { newConflict } from '../record/losers.ts'
import { msOfTime } from '../record/time.ts'

/** Once for each change of who won and who lost. */
export function tellConflict(
  { events, logger }: { readonly events: EventBus; readonly logger: Logger },
  { before, history }: { readonly before: History; readonly history: History },
): void {
  const conflict = newConflict(before, history)
  if (conflict === undefined) return
  const { winner, losers } = conflict
  const { repository, reference } = winner.record
  logger.warn(
    { repository, reference, winner: partOf(winner), losers: losers.map(partOf) },
    'concurrent pushes of one tag: the latest of them is shown everywhere, the others lost',
  )
  events.emit({
    kind: 'conflict',
    key: { repository, reference },
    winner: partOf(winner),
    losers: losers.map(partOf),
  })
}

function partOf({ writer, record: { digest, time } }: SignedPut) {
  return { writer, digest, timeMs: msOfTime(time) }
}
