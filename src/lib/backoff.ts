/** Exponential delays with full jitter, so that many nodes that failed together do not return together. */
import type { Random } from './random.ts'

export interface BackoffOptions {
  /** Delay bound of the first retry, milliseconds. */
  readonly firstMs: number
  /** No delay is longer than this, milliseconds. */
  readonly capMs: number
}

/** Milliseconds to wait before try number `attempt` (1 = first retry): between half the bound and the bound. */
export function backoffMs(
  attempt: number,
  { firstMs, capMs }: BackoffOptions,
  random: Random,
): number {
  const bound = Math.min(capMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(bound * (0.5 + random.fraction() / 2))
}
