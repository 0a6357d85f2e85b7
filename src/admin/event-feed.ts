/**
 * One reader's queue of the live stream. Progress of a job is paced and the last one is never lost; a reader that is too
 * slow is cut with a reason, so that memory stays bounded and nobody believes in a stream with holes.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { JobState, JobView, MeshEvent } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import { createNap } from '../lib/nap.ts'

export type FeedItem =
  | { readonly kind: 'event'; readonly event: MeshEvent }
  /** Nothing happened for a while. */
  | { readonly kind: 'beat' }
  /** The reader was too slow: the last item. */
  | { readonly kind: 'cut'; readonly reason: string }

export interface EventFeed {
  /** The next item, in order; undefined at the end. One call at a time. */
  next(): Promise<FeedItem | undefined>
  /** Takes what waits already, in order. */
  ready(): readonly FeedItem[]
  close(): void
}

/** Progress of one job at most this often, milliseconds: five a second are all that a person sees. */
const PACE_MS = 200
/** Events that wait for the reader, at most: seconds of a busy node. */
const MAX_WAITING = 1_000
/** A beat after so much silence, milliseconds: common proxies cut a connection that says nothing for 30 s. */
const BEAT_MS = 15_000

export function createEventFeed({
  events,
  clock,
}: {
  readonly events: EventBus
  readonly clock: Clock
}): EventFeed {
  const waiting: FeedItem[] = []
  /** Jobs told of in the last PACE_MS: the state that was told, and the newest change since. */
  const paced = new Map<string, { state: JobState; newest?: JobView | undefined }>()
  const over = new AbortController()
  const nap = createNap({ clock })

  function push(event: MeshEvent): void {
    waiting.push({ kind: 'event', event })
    if (waiting.length + paced.size > MAX_WAITING) {
      const reason = `more than ${MAX_WAITING} events waited; connect again and read faster`
      waiting.splice(0, waiting.length, { kind: 'cut', reason })
      end()
    }
    nap.wake()
  }

  function tellOfJob(job: JobView): void {
    const told = paced.get(job.id)
    if (told?.state === job.state) {
      told.newest = job
      return
    }
    if (told === undefined) pace(job)
    else Object.assign(told, { state: job.state, newest: undefined })
    // Another state is news, not progress: it is told at once, so that it comes before what follows from it.
    push({ kind: 'job-changed', job })
  }

  function pace({ id, state }: JobView): void {
    paced.set(id, { state })
    clock.sleep(PACE_MS, { signal: over.signal }).then(
      () => {
        const newest = paced.get(id)?.newest
        paced.delete(id)
        if (newest !== undefined) tellOfJob(newest)
      },
      () => {},
    )
  }

  function end(): void {
    if (over.signal.aborted) return
    unsubscribe()
    paced.clear()
    over.abort(new DOMException('the live stream is over', 'AbortError'))
    nap.wake()
  }

  const unsubscribe = events.onAny((event) => {
    // No progress of before after it.
    if (event.kind === 'jobs-reset') paced.clear()
    if (event.kind === 'job-changed') tellOfJob(event.job)
    else push(event)
  })

  return {
    next: async () => {
      for (;;) {
        const item = waiting.shift()
        if (item !== undefined || over.signal.aborted) return item
        if (await nap.take(BEAT_MS)) return { kind: 'beat' }
      }
    },
    ready: () => waiting.splice(0),
    close: () => {
      waiting.length = 0
      end()
    },
  }
}
