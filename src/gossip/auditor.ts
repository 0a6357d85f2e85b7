/**
 * When audits happen: soon after the feed of a neighbour was read to its end, where this node or the neighbour has started
 * anew since the last one; and then once in a while. A difference is a fault of this program, and is told as one.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createNap, type Nap } from '../lib/nap.ts'
import type { Random } from '../lib/random.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { NodeName } from '../topology/topology.ts'
import type { AuditReader, Difference } from './audit-reader.ts'
import type { ReadProgress } from './feed-reader.ts'

/** Milliseconds between two audits with one neighbour, on average; see docs/decisions/0030-audit.md for what one costs. */
const EVERY_MS = 3_600_000
/** The first one comes within this time, milliseconds, when the work of a start is over. */
const SOON_MS = 60_000

export interface AuditorDeps extends AuditReader {
  readonly peerOf: (node: NodeName) => PeerId | undefined
  readonly events: EventBus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface Auditor extends AsyncDisposable {
  /** The neighbour's feed was read on. */
  onRead(node: NodeName, progress: ReadProgress): void
}

interface Watch {
  /** Of the neighbour's feed, now and at the last audit. */
  epoch: string
  auditedEpoch: string | undefined
  readonly nap: Nap
  done: Promise<void>
}

export function createAuditor(
  { audit, peerOf, events, clock, random, logger }: AuditorDeps,
  { everyMs = EVERY_MS }: { readonly everyMs?: number | undefined } = {},
): Auditor {
  const watching = new Map<NodeName, Watch>()
  const stop = new AbortController()

  /** Goes on while the neighbour is away: an audit that cannot be made is no reason to put off the next one. */
  async function run(node: NodeName, peer: PeerId, watch: Watch): Promise<void> {
    while (!stop.signal.aborted) {
      const isNew = watch.auditedEpoch !== watch.epoch
      const ms = isNew ? Math.min(SOON_MS, everyMs) : everyMs * 1.5
      // Jitter: many edges that came back together do not audit together.
      await rest(watch, (ms * (1 + 2 * random.fraction())) / 3)
      const { epoch } = watch
      try {
        const outcome = await audit(node, peer, { signal: stop.signal })
        if (outcome === undefined) continue
        watch.auditedEpoch = epoch
        const { buckets, opened, records } = outcome
        logger.debug({ neighbour: node, buckets, opened, records }, 'audited')
        if (records > 0) tell(node, outcome)
      } catch (err) {
        if (!stop.signal.aborted) logger.debug({ err, neighbour: node }, 'audit interrupted')
      }
    }
  }

  /** Until the time is over, or the neighbour's feed has another epoch. */
  async function rest(watch: Watch, ms: number): Promise<void> {
    const isOver = await watch.nap.take(ms, { signal: stop.signal })
    if (!isOver && !stop.signal.aborted) {
      await clock.sleep(SOON_MS * random.fraction(), { signal: stop.signal }).catch(() => {})
    }
  }

  function tell(node: NodeName, { keys, records }: Difference): void {
    const todo = 'they are here now; please report it, with the logs of both nodes'
    logger.error(
      { neighbour: node, records, keys, todo },
      'records were missing here that the feed of a neighbour should have brought',
    )
    events.emit({ kind: 'feed-difference', node, keys, records })
  }

  return {
    onRead: (node, { epoch, through, head }) => {
      if (through < head) return
      const watch = watching.get(node)
      const peer = peerOf(node)
      if (watch !== undefined) {
        const isNew = watch.epoch !== epoch
        watch.epoch = epoch
        if (isNew) watch.nap.wake()
      } else if (peer !== undefined) {
        const done = Promise.resolve()
        const nap = createNap({ clock })
        const fresh: Watch = { epoch, auditedEpoch: undefined, nap, done }
        watching.set(node, fresh)
        fresh.done = run(node, peer, fresh)
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await Promise.all([...watching.values()].map(({ done }) => done))
    },
  }
}
