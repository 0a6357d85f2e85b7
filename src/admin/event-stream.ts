/** The live stream as server-sent events (HTML standard, section 9.2): the present state first, then what happens. */
import type { MeshEvent } from '../events/mesh-event.ts'
import { createEventFeed, type EventFeed, type FeedItem } from './event-feed.ts'

export interface EventStreamDeps {
  readonly events: Parameters<typeof createEventFeed>[0]['events']
  readonly clock: Parameters<typeof createEventFeed>[0]['clock']
  /** What a reader has to know before the first change. */
  readonly snapshot: () => object
  /** Aborted when the node begins to stop: an open stream would hold the server open. */
  readonly stopping?: AbortSignal | undefined
  readonly onEnd: () => void
}

/** What happens within so many milliseconds is one write: a job alone tells of itself some ten times. */
const GATHER_MS = 10
/** What a client waits before it connects again, milliseconds. */
const RETRY_MS = 1_000

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would collect events until its buffer is full.
  'x-accel-buffering': 'no',
}

export function streamEvents(deps: EventStreamDeps): Response {
  const { stopping, snapshot, onEnd, clock } = deps
  // Subscribed and looked at in one turn: no change falls between the snapshot and what follows.
  const feed = createEventFeed(deps)
  const first = `retry: ${RETRY_MS}\n\n${frame('snapshot', snapshot())}`
  let isOpen = true
  const close = () => {
    if (!isOpen) return
    isOpen = false
    stopping?.removeEventListener('abort', close)
    feed.close()
    onEnd()
  }
  stopping?.addEventListener('abort', close)
  if (stopping?.aborted === true) close()

  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(encoder.encode(first)),
      pull: async (controller) => {
        const text = await nextText(feed, clock)
        if (text !== undefined) {
          controller.enqueue(encoder.encode(text))
          return
        }
        close()
        controller.close()
      },
      cancel: close,
    },
    // Nothing is read ahead: what the client does not take waits in the feed, where it is counted.
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: HEADERS })
}

/** What waits, together; undefined at the end. */
async function nextText(
  feed: EventFeed,
  clock: EventStreamDeps['clock'],
): Promise<string | undefined> {
  const item = await feed.next()
  if (item?.kind !== 'event') return item && textOf(item)
  await clock.sleep(GATHER_MS)
  return [item, ...feed.ready()].map(textOf).join('')
}

function textOf(item: FeedItem): string {
  switch (item.kind) {
    case 'beat':
      return ': alive\n\n'
    case 'cut':
      return frame('cut', { reason: item.reason })
    case 'event':
      return frame(item.event.kind, toData(item.event))
  }
}

function frame(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

function toData(event: MeshEvent): object {
  if (event.kind !== 'record-stored') return event
  const { signed, arrival, kind } = event
  const { repository, reference } = signed.record
  return { kind, arrival, id: signed.id, repository, reference, writer: signed.writer }
}
