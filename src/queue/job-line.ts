/** What the log of a job says of its moves. */
import { bytesText } from '../lib/bytes-text.ts'
import type { Job } from './job.ts'
import type { Move } from './job-machine.ts'

/** Of a move that was just made. */
export function lineOf(job: Job, move: Move): string {
  const reason = job.reason ?? ''
  switch (move) {
    case 'start':
      return `try ${job.attempts} begins`
    case 'finish':
      return `done: ${bytesText(job.bytesTotal ?? job.bytesDone)}`
    case 'defer': {
      const until = job.nextTryAtMs ?? Number.POSITIVE_INFINITY
      const when = Number.isFinite(until) ? `until ${new Date(until).toISOString()}` : 'for good'
      return `waits ${when}: ${reason}`
    }
    case 'due':
      return 'stands in the line again'
    case 'release':
      return 'goes on'
    case 'pause':
    case 'hold':
      return reason
    case 'supersede':
    case 'vanish':
      return `${job.state}: ${reason}`
  }
}
