/** Cuts clients that hold a request open and move next to nothing: silence is only the slowest way to be slow. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'

export interface StallWatch {
  /** Watches the request until its response is closed. */
  watch(incoming: IncomingMessage, outgoing: ServerResponse): void
  close(): void
}

export interface StallLimits {
  /** Milliseconds. */
  readonly stallTimeout: number
  /** Bytes that a client has to take or bring in a stall timeout, while this node waits for it. */
  readonly stallBytes: number
}

/** Looks in one stall timeout: a client is cut at the latest a quarter after its time. */
const LOOKS = 4

interface Watched {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** Bytes moved when it last was not stalled. */
  moved: number
  /** Looks since then. */
  looks: number
}

export function createStallWatch(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  { stallTimeout, stallBytes }: StallLimits,
): StallWatch {
  const watched = new Set<Watched>()
  const stop = new AbortController()
  void lookInTime()

  async function lookInTime(): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(stallTimeout / LOOKS, { signal: stop.signal }).catch(() => {})
      for (const one of watched) look(one)
    }
  }

  function look(one: Watched): void {
    const { incoming, outgoing } = one
    const moved = movedBytes(one)
    if (moved - one.moved >= stallBytes || !isClientAwaited(one)) {
      one.moved = moved
      one.looks = 0
      return
    }
    one.looks += 1
    if (one.looks < LOOKS) return
    watched.delete(one)
    const { method, socket } = incoming
    logger.info({ method, address: socket.remoteAddress, moved }, 'stalled client cut off')
    outgoing.destroy()
    socket.destroy()
  }

  return {
    watch: (incoming, outgoing) => {
      const one: Watched = { incoming, outgoing, moved: 0, looks: 0 }
      one.moved = movedBytes(one)
      watched.add(one)
      outgoing.once('close', () => watched.delete(one))
    },
    close: () => stop.abort(),
  }
}

/** What the socket took and gave; bytes that still wait in this process do not count. */
function movedBytes({ incoming: { socket } }: Watched): number {
  return socket.bytesRead + socket.bytesWritten - socket.writableLength
}

/** Whether the next move is the client's: hashing, a slow disk and live streams without news are none of its doing. */
function isClientAwaited({ incoming, outgoing }: Watched): boolean {
  const isBodyAwaited =
    !incoming.complete && incoming.readableLength < incoming.readableHighWaterMark
  return isBodyAwaited || outgoing.writableLength > 0 || incoming.socket.writableLength > 0
}
