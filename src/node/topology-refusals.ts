/** The topologies that were not taken: told once each, and the last one to be looked at. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import type { RefusalCode } from './topology-check.ts'

export interface TopologyRefusal {
  readonly kind: 'refused'
  readonly code: RefusalCode | 'NODE_STARTING' | 'NOT_RUN'
  readonly reason: string
}

export interface RejectedTopology {
  /** Undefined where the file could not be read so far. */
  readonly generation?: number
  /** Where it came from: a neighbour, `apply` or `reload`. */
  readonly from: string
  readonly reason: string
  readonly atMs: number
}

export interface TopologyRefusals {
  note(
    from: string,
    generation: number | undefined,
    why: Pick<TopologyRefusal, 'code' | 'reason'>,
  ): TopologyRefusal
  last(): RejectedTopology | undefined
  /** Another topology runs: what was refused before matters no more. */
  clear(): void
}

/** Refusals that are remembered so as not to be logged again. */
const MAX_REPORTED = 100
/** What anybody may bring about, who needs no key for it: told once for each who gives, and it hides no other refusal. */
const UNPROVEN: ReadonlySet<string> = new Set<RefusalCode>([
  'REALM_OTHER',
  'OWNER_UNKNOWN',
  'SIGNATURE_INVALID',
])

export function createTopologyRefusals({
  events,
  clock,
  logger,
}: {
  readonly events: EventBus
  readonly clock: Pick<Clock, 'now'>
  readonly logger: Logger
}): TopologyRefusals {
  const reported = createSeenSet({ limit: MAX_REPORTED })
  let proven: RejectedTopology | undefined
  let unproven: RejectedTopology | undefined
  return {
    note: (from, generation, { code, reason }) => {
      const which = generation === undefined ? {} : { generation }
      const isProven = !UNPROVEN.has(code)
      const rejected = { ...which, from, reason, atMs: clock.now() }
      if (isProven) proven = rejected
      else unproven = rejected
      if (reported.add(isProven ? `${from} ${generation} ${reason}` : `${from} ${code}`)) {
        logger.error({ from, ...which, code, reason }, 'topology refused, the former one runs on')
        events.emit({ kind: 'topology-refused', from, ...which, reason })
      }
      return { kind: 'refused', code, reason }
    },
    last: () => proven ?? unproven,
    clear: () => {
      proven = undefined
      unproven = undefined
    },
  }
}
