/** How long a job waits: before the first try where nobody is known to hold it, and after a try in vain. */
import type { WaitCause } from '../events/mesh-event.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Random } from '../lib/random.ts'
import type { Job } from './job.ts'

const FAILED = { firstMs: 1_000, capMs: 60_000 }
/** No holder: the feed says when one comes, so this is only the safety net. */
const NO_HOLDER = { firstMs: 5_000, capMs: 300_000 }

/** No job waits longer, milliseconds. */
export const MAX_DELAY_MS = NO_HOLDER.capMs

/**
 * News runs ahead of content: a job whose manifest nobody is known to hold yet waits so long, milliseconds, for a holder to show
 * up before it asks blindly. Content that a relay has held since before this node started is fetched after that.
 */
export const NEWS_AHEAD_MS = 500

/** Counts the try. @returns milliseconds until the next one */
export function delayAfter(job: Job, cause: WaitCause, random: Random): number {
  // A large image over a link that is cut again and again comes in pieces: each that came counts as a success.
  job.vainTries = job.bytesDone > job.mostBytes ? 1 : job.vainTries + 1
  job.mostBytes = Math.max(job.mostBytes, job.bytesDone)
  return backoffMs(job.vainTries, cause === 'no-holder' ? NO_HOLDER : FAILED, random)
}
