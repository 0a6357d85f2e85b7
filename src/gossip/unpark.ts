/** Looks at parked records again, for as long as the node runs. */
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'

/** Parked records are looked at again so often, milliseconds: a clock that was wrong is put right in minutes. */
const UNPARK_MS = 60_000

export async function unparkInTime(
  unpark: () => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(UNPARK_MS, { signal }).catch(() => {})
    if (signal.aborted) return
    await unpark().catch((err: unknown) => logger.warn({ err }, 'parked records not looked at'))
  }
}
