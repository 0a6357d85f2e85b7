/** The scan of everything that this node knows: what is wanted and not held gets its job, and rows without a job go. */
import type { Logger } from '../lib/logger.ts'
import type { Planner } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import type { JobStore } from '../queue/job-store.ts'
import { sweepJobRows } from '../queue/job-sweep.ts'
import type { Dispatcher } from '../worker/dispatcher.ts'

export interface Scan {
  /** Begins one, in the background: it takes longer the more there is, and nothing that is served waits for it. */
  run(): void
  isRunning(): boolean
}

export interface ScanDeps {
  readonly dispatcher: Pick<Dispatcher, 'considerAll'>
  readonly store: JobStore
  readonly queue: Pick<JobQueue, 'isOpen'>
  readonly planner: Planner
  readonly logger: Logger
}

export function createScan(deps: ScanDeps): Scan {
  let running = 0

  async function scan(): Promise<void> {
    running += 1
    try {
      await deps.dispatcher.considerAll()
      await sweepJobRows(deps)
    } catch (err) {
      deps.logger.warn({ err }, 'ledger not looked through')
    } finally {
      running -= 1
    }
  }

  return { run: () => void scan(), isRunning: () => running > 0 }
}
