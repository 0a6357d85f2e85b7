/**
 * The dispatcher turns news into work: it asks the planner about a key and does what the plan says. Asking twice about
 * one key does no harm; a key that waits for its turn is asked about once.
 */
import type { Logger } from '../lib/logger.ts'
import { isSettled, type Planner } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { keyText, parseKeyText, type RecordKey } from '../record/tag-record.ts'
import type { ContentKeeper } from '../storage/content.ts'
import type { Ledger } from '../storage/ledger.ts'

export interface Dispatcher extends AsyncDisposable {
  consider(key: RecordKey): void
  /** Goes through the whole ledger: at start, and when what is wanted changed. */
  considerAll(): Promise<void>
  /** Resolves when no key waits. */
  idle(): Promise<void>
}

export interface DispatcherDeps {
  readonly planner: Planner
  readonly content: Pick<ContentKeeper, 'show' | 'drop'>
  readonly queue: Pick<JobQueue, 'add' | 'forget'>
  readonly ledger: Ledger
  readonly logger: Logger
}

/** Entries read at a time in a scan. */
const PAGE = 256

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { planner, content, queue, ledger, logger } = deps
  /** Bounded by the number of keys in the ledger. */
  const waiting = new Set<string>()
  let running: Promise<void> | undefined
  let isStopped = false

  async function drain(): Promise<void> {
    await Promise.resolve()
    for (const text of waiting) {
      if (isStopped) break
      waiting.delete(text)
      try {
        await act(parseKeyText(text))
      } catch (err) {
        logger.error({ err, key: parseKeyText(text) }, 'key could not be considered')
      }
    }
    // In the same turn as the last look at the set: a later key starts a new drain.
    running = undefined
  }

  async function act(key: RecordKey): Promise<void> {
    const plan = await planner.plan(key)
    if (plan.kind === 'pull') {
      queue.add(plan)
      return
    }
    queue.forget(key)
    if (plan.kind === 'show') await content.show(key)
    if (plan.kind === 'drop') await content.drop(key)
  }

  function consider(key: RecordKey): void {
    if (isStopped) return
    waiting.add(keyText(key))
    running ??= drain()
  }

  return {
    consider,
    considerAll: async () => {
      let after = 0
      for (;;) {
        if (isStopped) return
        const { entries, through } = await ledger.page(after, PAGE)
        for (const entry of entries) {
          // Without reading the entry again: of a million keys hardly any asks for more.
          if (isSettled(entry)) queue.forget(entry.key)
          else consider(entry.key)
        }
        await running
        if (through === after) return
        after = through
      }
    },
    idle: async () => {
      while (running !== undefined) await running
    },
    [Symbol.asyncDispose]: async () => {
      isStopped = true
      await running
    },
  }
}
