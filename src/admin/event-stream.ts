/** The live stream: the present state first, then what happens. A reader that is too slow is cut off, not waited for. */
import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { EventBus } from '../events/event-bus.ts'
import type { MeshEvent } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'

export interface EventStreamDeps {
  readonly events: EventBus
  readonly clock: Clock
  /** What a reader has to know before the first change. */
  readonly snapshot: () => object
}

/** Events that wait for a reader, at most: seconds of a busy node. Beyond it the reader is cut off and begins again. */
const MAX_WAITING = 1_000
/** A comment so often, milliseconds, so that proxies and readers know that the stream lives. */
const HEARTBEAT_MS = 15_000

export function streamEvents(
  { events, clock, snapshot }: EventStreamDeps,
  context: Context,
): Response {
  return streamSSE(context, async (stream) => {
    const waiting = new Map<string, MeshEvent>()
    let count = 0
    let wake = new AbortController()
    const unsubscribe = events.onAny((event) => {
      // Of a job only the last change counts; everything else is kept one by one.
      count += 1
      const key = event.kind === 'job-changed' ? `job ${event.job.id}` : `event ${count}`
      waiting.delete(key)
      waiting.set(key, event)
      wake.abort()
    })
    stream.onAbort(() => wake.abort())
    try {
      await stream.writeSSE({ event: 'snapshot', data: JSON.stringify(snapshot()) })
      while (!stream.aborted) {
        if (waiting.size > MAX_WAITING) {
          await stream.writeSSE({ event: 'cut', data: '{"reason":"too slow; connect again"}' })
          return
        }
        const batch = [...waiting.values()]
        waiting.clear()
        for (const event of batch) await stream.writeSSE({ event: event.kind, data: toJson(event) })
        if (batch.length > 0) continue
        wake = new AbortController()
        const isSilent = await clock.sleep(HEARTBEAT_MS, { signal: wake.signal }).then(
          () => true,
          () => false,
        )
        if (isSilent) await stream.write(': alive\n\n')
      }
    } finally {
      unsubscribe()
    }
  })
}

function toJson(event: MeshEvent): string {
  if (event.kind !== 'record-stored') return JSON.stringify(event)
  const { signed, arrival, kind } = event
  const { repository, reference } = signed.record
  return JSON.stringify({
    kind,
    arrival,
    id: signed.id,
    repository,
    reference,
    writer: signed.writer,
  })
}
