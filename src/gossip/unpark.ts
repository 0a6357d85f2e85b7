/** Stores parked records when their time has come, for as long as the node runs. */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createNap } from '../lib/nap.ts'
import type { MeshTime } from '../peers/mesh-time.ts'
import type { Receiver } from './receiver.ts'

export interface UnparkDeps {
  readonly receiver: Pick<Receiver, 'unpark' | 'nextDueMs'>
  readonly meshTime: Pick<MeshTime, 'now' | 'onJump'>
  readonly events: EventBus
  readonly clock: Clock
  readonly logger: Logger
}

/** Parked records are looked at again so often at the latest, milliseconds: this node's own clock may have been put right. */
const UNPARK_MS = 60_000
/** And so often at the most, milliseconds, while none comes: records of one writer are due one after the other. */
const MIN_PAUSE_MS = 1_000

export async function unparkInTime(
  { receiver, meshTime, events, clock, logger }: UnparkDeps,
  signal: AbortSignal,
): Promise<void> {
  const nap = createNap({ clock })
  meshTime.onJump(nap.wake)
  // It may be due before the one that is waited for.
  events.on('record-parked', nap.wake)

  while (!signal.aborted) {
    const dueMs = receiver.nextDueMs()
    const leftMs = dueMs === undefined ? UNPARK_MS : dueMs - meshTime.now()
    await nap.take(Math.min(UNPARK_MS, Math.max(MIN_PAUSE_MS, leftMs)), { signal })
    if (signal.aborted) return
    const nextMs = receiver.nextDueMs()
    if (nextMs === undefined || nextMs > meshTime.now()) continue
    await receiver
      .unpark()
      .catch((err: unknown) => logger.warn({ err }, 'parked records not looked at'))
  }
}
