/**
 * A writer reads back what it signed before it signs anything: it may have lost its disk, or been put back to a backup,
 * and cannot know. After each start its changes wait until every neighbour's feed was read to the end once. That is bounded:
 * who cannot be reached is not waited for long. Records say what their author knew, so that signing without knowing one's
 * own past is safe; it only makes one's own records concurrent.
 */
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { napUntil } from '../lib/nap.ts'
import type { NodeName } from '../topology/topology.ts'
import type { ReadProgress } from './feed-reader.ts'

export interface ReadBack extends AsyncDisposable {
  /** The network runs: from now on neighbours can be reached. */
  start(): void
  /** A neighbour's feed was read on. */
  onRead(node: NodeName, progress: ReadProgress): void
  /**
   * Waits until records may be signed, as long as neighbours that are not reached are waited for. @returns undefined then,
   * or what there is still to wait for, and how far it is
   */
  pass(): Promise<string | undefined>
  /** Resolves when every neighbour was read, or at the end. */
  complete(): Promise<void>
  /** Neighbours that were not read to the end since the start. */
  unread(): readonly NodeName[]
}

export interface ReadBackDeps {
  /** Whose feeds may have records of this node; none where it writes nothing. */
  readonly sources: readonly NodeName[]
  readonly clock: Clock
  readonly logger: Logger
}

/** So long neighbours that do not answer are waited for, milliseconds: a dial over a slow link, a hello, and a first page. */
const READ_BACK_MS = 10_000
/** One that has begun to send is waited for as long as it comes further within this time, milliseconds. */
const STALL_MS = 10_000
/** So long a change waits for the network to be there, milliseconds: a node that adopts a directory joins the mesh after that. */
const START_MS = 10_000

export function createReadBack(
  { sources, clock, logger }: ReadBackDeps,
  { waitMs = READ_BACK_MS }: { readonly waitMs?: number | undefined } = {},
): ReadBack {
  const pending = new Set(sources)
  /** Of those that have more to send. */
  const progress = new Map<NodeName, ReadProgress>()
  const stop = new AbortController()
  const complete = Promise.withResolvers<void>()
  /** Resolved when nobody is waited for who does not answer. */
  const patience = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  let isOpen = false
  let isTold = false
  let running: Promise<void> | undefined
  if (pending.size === 0) open()

  function open(): void {
    isOpen = true
    patience.resolve()
    if (pending.size === 0) complete.resolve()
  }

  async function wait(): Promise<void> {
    await clock.sleep(waitMs, { signal: stop.signal }).catch(() => {})
    patience.resolve()
    /** The furthest of each: who says the same again, or goes back, would else be waited for without end. */
    const furthest = new Map<NodeName, number>()
    while (!isOpen && !stop.signal.aborted) {
      const moved = [...progress].filter(([node, now]) => now.through > (furthest.get(node) ?? -1))
      if (moved.length === 0) return open()
      for (const [node, { through }] of moved) furthest.set(node, through)
      await clock.sleep(STALL_MS, { signal: stop.signal }).catch(() => {})
    }
  }

  async function isStarted(): Promise<boolean> {
    if (running !== undefined) return true
    await napUntil(started.promise, START_MS, { clock })
    return running !== undefined || isOpen || stop.signal.aborted
  }

  /** Once: at the first record that is signed so. */
  function tellUnread(): void {
    if (isTold || pending.size === 0) return
    isTold = true
    logger.warn(
      { neighbours: [...pending] },
      'records are signed without knowing what these neighbours know: they were not reached since the start',
    )
  }

  return {
    start: () => {
      if (!isOpen) running ??= wait()
      started.resolve()
    },
    onRead: (node, now) => {
      if (!pending.has(node)) return
      progress.set(node, now)
      if (now.through < now.head) return
      pending.delete(node)
      progress.delete(node)
      if (pending.size === 0) open()
    },
    pass: async () => {
      if (!isOpen && !(await isStarted())) {
        return 'this node has started anew and still looks at what it found on its disk; after that it reads what its neighbours know of its own writing'
      }
      if (!isOpen) await patience.promise
      if (isOpen) {
        tellUnread()
        return undefined
      }
      // Who waited still knows too little: the next term, or the next start, reads on.
      if (stop.signal.aborted) return 'this node ends, or takes up another topology'
      const told = [...progress].map(
        ([node, { through, head }]) => `${node} (${through} of ${head} entries)`,
      )
      return `this node has started anew and still reads what its neighbours know of its own writing: ${told.join(', ')}`
    },
    complete: () => complete.promise,
    unread: () => [...pending],
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      started.resolve()
      patience.resolve()
      complete.resolve()
      await running
    },
  }
}
