/** A token bucket: so many at once, and so many a second on the long run. */
import type { Clock } from './clock.ts'

export interface TokenBucketOptions {
  /** Tokens that come back in a second. */
  readonly perSecond: number
  /** Tokens of a full bucket, which is how it begins. */
  readonly burst: number
}

export interface TokenBucket {
  /** Takes a token. @returns false when there is none. */
  take(): boolean
  /** Milliseconds until there is a token; 0 where there is one. */
  waitMs(): number
}

export function createTokenBucket(
  { clock }: { readonly clock: Pick<Clock, 'now'> },
  { perSecond, burst }: TokenBucketOptions,
): TokenBucket {
  let tokens = burst
  let atMs = clock.now()

  function refill(): void {
    const now = clock.now()
    // A clock that was set back gives nothing, and one that was set forward no more than the burst.
    tokens = Math.min(burst, tokens + (Math.max(0, now - atMs) / 1_000) * perSecond)
    atMs = now
  }

  return {
    take: () => {
      refill()
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
    waitMs: () => {
      refill()
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1_000)
    },
  }
}
