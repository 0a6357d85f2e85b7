/**
 * The live streams of a node as server-sent events (HTML standard, section 9.2): the present state first, then what happens. Who
 * comes back soon and says where its stream ended goes on there. They go on when another topology is adopted.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import { createNap } from '../lib/nap.ts'
import { type Random, randomText } from '../lib/random.ts'
import { createLiveLog, type LoggedEvent } from './live-log.ts'

export interface LiveStreams {
  /**
   * A new stream; undefined while as many are open as may be. `snapshot`: what a reader has to know before the first change.
   * `lastId`: the id that ended its former stream.
   */
  open(snapshot: () => object, lastId: string | undefined): Response | undefined
}

export interface LiveStreamsDeps {
  readonly events: Pick<EventBus, 'onAny'>
  readonly clock: Clock
  readonly random: Random
  /** Aborted when the node begins to stop: an open stream would hold the server open. */
  readonly stopping?: AbortSignal | undefined
}

/** Streams at once: consoles and dashboards; each holds a socket. */
export const MAX_STREAMS = 64
/** What happens within so many milliseconds is one write: a job alone tells of itself some ten times. */
const GATHER_MS = 10
/** A beat after so much silence, milliseconds: common proxies cut a connection that says nothing for 30 s. */
const BEAT_MS = 15_000
/** What a client waits before it connects again, milliseconds. */
const RETRY_MS = 1_000

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would collect events until its buffer is full.
  'x-accel-buffering': 'no',
}

export function createLiveStreams(deps: LiveStreamsDeps): LiveStreams {
  const { clock, random, stopping } = deps
  const log = createLiveLog(deps)
  /** Of this process: numbers of another one say nothing here. */
  const run = randomText(random, 6)
  const encoder = new TextEncoder()
  let open = 0

  const idOf = (number: number) => `${run}.${number}`
  const textOf = ({ name, data, number }: LoggedEvent) => frame(name, data, idOf(number))

  /** Undefined where the reader has to begin anew. */
  function placeOf(lastId = ''): number | undefined {
    const [, of, digits] = /^([\w-]+)\.(\d{1,15})$/.exec(lastId) ?? []
    const number = Number(digits)
    return of === run && log.after(number) !== undefined ? number : undefined
  }

  return {
    open: (snapshot, lastId) => {
      if (open >= MAX_STREAMS) return undefined
      // Looked at in one turn: no change falls between the snapshot and what follows.
      const known = placeOf(lastId)
      let place = known ?? log.last()
      const state = known === undefined ? frame('snapshot', snapshot(), idOf(place)) : ''
      const nap = createNap({ clock })
      const unsubscribe = log.onMore(nap.wake)
      let isOpen = true
      open += 1

      function close(): void {
        if (!isOpen) return
        isOpen = false
        open -= 1
        stopping?.removeEventListener('abort', close)
        unsubscribe()
        nap.wake()
      }
      stopping?.addEventListener('abort', close)
      if (stopping?.aborted === true) close()

      /** What the reader has not heard, together; undefined at the end. */
      async function nextText(): Promise<string | undefined> {
        while (isOpen) {
          if (place === log.last()) {
            if (await nap.take(BEAT_MS)) return ': alive\n\n'
            continue
          }
          await clock.sleep(GATHER_MS)
          const news = log.after(place)
          if (news === undefined) {
            close()
            const reason = `${log.last() - place} events waited, more than are kept; connect again and read faster`
            return frame('cut', { reason })
          }
          place += news.length
          return news.map(textOf).join('')
        }
        return undefined
      }

      const body = new ReadableStream<Uint8Array>(
        {
          start: (controller) =>
            controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n${state}`)),
          pull: async (controller) => {
            const text = await nextText()
            if (text === undefined) controller.close()
            else controller.enqueue(encoder.encode(text))
          },
          cancel: close,
        },
        // Nothing is read ahead: what the client does not take waits in the log, which is bounded.
        { highWaterMark: 0 },
      )
      return new Response(body, { headers: HEADERS })
    },
  }
}

/** A frame without an id leaves the reader at the one that it heard last. */
function frame(name: string, data: object, id?: string): string {
  const place = id === undefined ? '' : `id: ${id}\n`
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n${place}\n`
}
