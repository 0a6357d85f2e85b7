/** One flight per digest, whoever asks: later callers join the one that runs. It ends when all of them have left. */
import { reasonOf } from '../lib/abort.ts'

export interface Flights<T> extends AsyncDisposable {
  /** Runs `fly`, or joins the flight of this name. `signal` takes the caller out; the last one out aborts the flight. */
  join(name: string, fly: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>
  /** Aborts all; resolves when the last one has ended. Nothing flies afterwards. */
  [Symbol.asyncDispose](): Promise<void>
}

interface Flight<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  callers: number
}

export function createFlights<T>(): Flights<T> {
  const flights = new Map<string, Flight<T>>()
  const over = new AbortController()

  function start(name: string, fly: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const stop = new AbortController()
    const result = fly(stop.signal).finally(() => flights.delete(name))
    // Callers that left do not hear of a failure; it must not count as unhandled.
    result.catch(() => {})
    const flight = { result, stop, callers: 0 }
    flights.set(name, flight)
    return flight
  }

  return {
    join: async (name, fly, signal) => {
      for (;;) {
        signal.throwIfAborted()
        over.signal.throwIfAborted()
        const running = flights.get(name)
        // One that is being aborted is of no use: wait until it is gone.
        if (running?.stop.signal.aborted) {
          await running.result.catch(() => {})
          continue
        }
        const flight = running ?? start(name, fly)
        flight.callers += 1
        try {
          return await leaveOnAbort(flight.result, signal)
        } finally {
          flight.callers -= 1
          if (flight.callers === 0) flight.stop.abort(signal.reason)
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      over.abort(new DOMException('nothing is fetched any more', 'AbortError'))
      const all = [...flights.values()]
      for (const { stop } of all) stop.abort(over.signal.reason)
      await Promise.allSettled(all.map(({ result }) => result))
    },
  }
}

function leaveOnAbort<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(reasonOf(signal))
    signal.addEventListener('abort', leave, { once: true })
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
