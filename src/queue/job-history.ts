/** The jobs that ended last, for a person who asks in the morning what happened at night. Kept in the index, with their notes. */
import type { JobView } from '../events/mesh-event.ts'
import type { Logger } from '../lib/logger.ts'
import type { IndexDb, Transaction } from '../storage/index-db.ts'
import { pagesOf } from '../storage/index-pages.ts'
import { ENDED, numberKey } from '../storage/index-tables.ts'
import type { Notes } from './job-notes.ts'

export interface EndedJob {
  /** 1 for the first that ended at this node. */
  readonly number: number
  readonly job: JobView
}

export interface JobHistory extends AsyncDisposable {
  add(job: JobView, notes: Notes): void
  /** The last that ended with the id. */
  get(id: string): JobView | undefined
  /** What was noted of it. */
  notesOf(id: string): Notes | undefined
  /** The newest first. */
  newest(): Iterable<EndedJob>
}

export interface JobHistoryDeps {
  readonly index: Pick<IndexDb, 'get' | 'page' | 'transact'>
  readonly logger: Pick<Logger, 'warn'>
}

/** Rows read at a time. */
const PAGE = 256
/** Of a row that could not be written. */
const NONE: Notes = { log: [], asked: [] }

/** @param most jobs that are kept; with more than that the oldest goes */
export async function openJobHistory(
  { index, logger }: JobHistoryDeps,
  most: number,
): Promise<JobHistory> {
  const ended: EndedJob[] = []
  /** Notes on their way into the index, by number. */
  const unwritten = new Map<number, Notes>()
  let writing: Promise<void> = Promise.resolve()
  for await (const page of pagesOf(index, ENDED, { limit: PAGE })) {
    for (const [key, { job }] of page) ended.push({ number: Number(key), job })
    trim()
  }
  let last = ended.at(-1)?.number ?? 0

  /** The bound may be lower than it was at the last start. */
  function trim(): void {
    const gone = ended.splice(0, Math.max(0, ended.length - most))
    if (gone.length === 0) return
    void write((tx) => {
      for (const { number } of gone) tx.delete(ENDED, numberKey(number))
    })
  }

  /** A row that is not written costs a line for a person, no content. */
  function write(work: (tx: Transaction) => void): Promise<void> {
    // Rows are written in turn: the last one is durable after all others.
    writing = index.transact(work).catch((err: unknown) => {
      logger.warn({ err }, 'history of jobs not written')
    })
    return writing
  }

  const find = (id: string) => ended.findLast(({ job }) => job.id === id)

  return {
    add: (job, notes) => {
      if (most === 0) return
      last += 1
      const number = last
      ended.push({ number, job })
      unwritten.set(number, notes)
      const row = { job, ...notes }
      void write((tx) => tx.put(ENDED, numberKey(number), row)).then(() => unwritten.delete(number))
      trim()
    },
    get: (id) => find(id)?.job,
    notesOf: (id) => {
      const { number } = find(id) ?? {}
      if (number === undefined) return undefined
      const { log, asked } = unwritten.get(number) ?? index.get(ENDED, numberKey(number)) ?? NONE
      return { log, asked }
    },
    newest: function* () {
      for (let at = ended.length - 1; at >= 0; at -= 1) {
        const one = ended[at]
        if (one !== undefined) yield one
      }
    },
    [Symbol.asyncDispose]: async () => {
      await writing
    },
  }
}
