/**
 * What clients ask of a node while one term follows another: who reads is answered by the former, and by the next what that one
 * does not find; who writes waits for the next.
 */
import type { Hono } from 'hono'
import type { Clock } from '../lib/clock.ts'
import { napUntil } from '../lib/nap.ts'
import { putOff } from './put-off.ts'

export type App = Pick<Hono<never>, 'fetch'>

export interface ChangeGate extends App {
  /** From now on who writes waits. Resolves when those have ended who change references, or after some time. */
  shut(): Promise<void>
  /** Those who wait go on, to the app of now. */
  open(): void
}

/** So long a request that writes waits, and `shut` for those under way, milliseconds: a term is followed in a tenth of it. */
const WAIT_MS = 2_000
/** Seconds. */
const RETRY_AFTER_S = 2

export function createChangeGate({
  app,
  clock,
}: {
  /** That of the present term. */
  readonly app: () => App
  readonly clock: Clock
}): ChangeGate {
  /** Resolves when it is open again; undefined while it is. */
  let shut: PromiseWithResolvers<void> | undefined
  /** Requests that change references, under way. Uploads go on across terms: they are the node's. */
  const changing = new Set<Promise<unknown>>()

  function note(answer: Promise<unknown>): void {
    const over = answer
      .catch(() => {})
      .finally(() => {
        changing.delete(over)
      })
    changing.add(over)
  }

  async function untilOpen(): Promise<void> {
    if (shut !== undefined) await napUntil(shut.promise, WAIT_MS, { clock })
  }

  return {
    fetch: async (request, ...rest) => {
      if (request.method === 'GET' || request.method === 'HEAD') {
        const answer = await app().fetch(request, ...rest)
        // A term that has ended brings nothing any more: what comes when it is asked for would seem not to be there.
        if (answer.status !== 404 || shut === undefined) return answer
        await answer.body?.cancel()
        await untilOpen()
        return shut === undefined ? app().fetch(request, ...rest) : putOffNow(request)
      }
      // Not a turn may pass between a look at the gate and the note: `shut` would not wait for the request.
      if (shut !== undefined) await untilOpen()
      if (shut !== undefined) return putOffNow(request)
      const answer = Promise.resolve(app().fetch(request, ...rest))
      if (request.url.includes('/manifests/')) note(answer)
      return answer
    },
    shut: async () => {
      shut ??= Promise.withResolvers()
      if (changing.size > 0) await napUntil(Promise.all(changing), WAIT_MS, { clock })
    },
    open: () => {
      const before = shut
      shut = undefined
      before?.resolve()
    },
  }
}

function putOffNow({ url }: Request): Response {
  return putOff(new URL(url).pathname, 'this node takes up another topology', RETRY_AFTER_S)
}
