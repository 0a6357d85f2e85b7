/**
 * The dispatcher turns news into work: it asks the planner about a key and does what the plan says. Asking twice about
 * one key does no harm; a key that waits for its turn is asked about once.
 */
import { setImmediate } from 'node:timers/promises'
import type { Logger } from '../lib/logger.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'
import { isSettled, type Planner } from '../planner/planner.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { conflictOf } from '../record/losers.ts'
import { keyText, parseKeyText, type RecordKey } from '../record/tag-record.ts'
import type { Asked } from '../storage/asked.ts'
import type { ContentKeeper } from '../storage/content.ts'
import type { Entry, Ledger, ScanPage } from '../storage/ledger.ts'
import type { DueKeys } from './due-keys.ts'
import { createLoserJobs } from './loser-jobs.ts'

export interface Dispatcher extends AsyncDisposable {
  consider(key: RecordKey): void
  /** Nobody has it any more: it is not looked for until a holder shows up, or something else asks about the key. */
  giveUp(key: RecordKey): void
  /** Nothing happens for a key that was not given up. */
  considerGivenUp(key: RecordKey): void
  /** Considers keys of a repository as they are found, in the background: there may be many. */
  considerEach(repository: RepositoryName, references: AsyncIterable<Reference>): void
  /** Goes through the whole ledger: at start, and when what is wanted changed. */
  considerAll(): Promise<void>
  /** Resolves when no key waits. */
  idle(): Promise<void>
  /** Whether the key is the tag of a loser that is to be fetched. */
  isAsked(key: RecordKey): boolean
  /** Keys that wait to be looked at, the one that is being looked at included. */
  waiting(): number
}

export interface DispatcherDeps {
  readonly planner: Planner
  readonly content: Pick<ContentKeeper, 'show' | 'drop' | 'keepLosers'>
  readonly queue: Pick<JobQueue, 'add' | 'forget'>
  readonly asked: Pick<Asked, 'settle'>
  readonly dueKeys: Pick<DueKeys, 'note'>
  readonly ledger: Ledger
  readonly logger: Logger
}

/** Keys considered before others get their turn, some 50 µs each: an image may have thousands of signatures. */
const KEYS_IN_TURN = 64
/** Keys given up that are remembered, 100 bytes each. Of those beyond the next start, or audit, thinks again. */
const MAX_GIVEN_UP = 10_000
/** Entries read at a time in a scan. */
const PAGE = 256

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { planner, content, queue, asked, dueKeys, ledger, logger } = deps
  /** Bounded by the number of keys in the ledger. */
  const waiting = new Set<string>()
  const givenUp = new Set<string>()
  const loserJobs = createLoserJobs(queue)
  let running: Promise<void> | undefined
  let isStopped = false

  async function drain(): Promise<void> {
    await Promise.resolve()
    let considered = 0
    for (const text of waiting) {
      considered += 1
      if (considered % KEYS_IN_TURN === 0) await setImmediate()
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
    const asker = loserJobs.askedBy(key)
    if (asker !== undefined) await act(asker)
    // Still only the tag of a loser: no record is about it.
    if (loserJobs.askedBy(key) !== undefined) return
    const plan = await planner.plan(key)
    if (plan.kind === 'pull') queue.add(plan)
    else queue.forget(key)
    if (plan.kind === 'show') await content.show(key, plan.platforms)
    if (plan.kind === 'refusal') await asked.settle(key)
    if (plan.kind === 'drop') await content.drop(key)
    if (plan.kind === 'drop-later') dueKeys.note(key.repository, plan.dueAtMs)
    const { losers = [], loserFetch } = plan
    const missing = await content.keepLosers(key, losers, loserFetch?.platforms)
    // Without a way to fetch them only those that are here stay.
    loserJobs.ask(key, loserFetch === undefined ? [] : missing, loserFetch)
  }

  function consider(key: RecordKey): void {
    if (isStopped) return
    waiting.add(keyText(key))
    running ??= drain()
  }

  async function considerFound(
    repository: RepositoryName,
    references: AsyncIterable<Reference>,
  ): Promise<void> {
    try {
      for await (const reference of references) {
        if (isStopped) return
        consider({ repository, reference })
      }
    } catch (err) {
      // While the index is opened anew; a scan of everything follows.
      if (!isStopped) logger.warn({ err, repository }, 'referrers not looked through')
    }
  }

  async function considerAllOf(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      // Without reading the entry again: of a million keys hardly any asks for more.
      if (isSettled(entry) && conflictOf(entry.history) === undefined) queue.forget(entry.key)
      else consider(entry.key)
    }
    await running
  }

  return {
    consider,
    giveUp: (key) => {
      givenUp.add(keyText(key))
      const [oldest] = givenUp
      if (givenUp.size > MAX_GIVEN_UP && oldest !== undefined) givenUp.delete(oldest)
    },
    considerGivenUp: (key) => {
      if (givenUp.delete(keyText(key))) consider(key)
    },
    considerEach: (repository, references) => void considerFound(repository, references),
    considerAll: async () => {
      let through = ledger.head()
      // By key, as the rows lie: in the order of the feed every entry would be a read of its own.
      for (let after: string | undefined = ''; after !== undefined; ) {
        if (isStopped) return
        const page: ScanPage = await ledger.scan({ after, limit: PAGE })
        await considerAllOf(page.entries)
        after = page.last
      }
      // What changed meanwhile may lie behind the scan.
      while (!isStopped && through < ledger.head()) {
        const page = await ledger.page(through, PAGE)
        await considerAllOf(page.entries)
        through = page.through
      }
    },
    idle: async () => {
      while (running !== undefined) await running
    },
    isAsked: (key) => loserJobs.askedBy(key) !== undefined,
    waiting: () => waiting.size + (running === undefined ? 0 : 1),
    [Symbol.asyncDispose]: async () => {
      isStopped = true
      await running
    },
  }
}
