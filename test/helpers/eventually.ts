/** Waits for what becomes true by itself: looks again and again, until a deadline. */
import { setTimeout as delay } from 'node:timers/promises'

/** Between two looks, milliseconds: short beside what is waited for, long beside what a look costs. */
const LOOK_EVERY_MS = 40
/** Milliseconds. Nodes on two busy cores start, dial and catch up within a fraction of it. */
const DEFAULT_TIMEOUT_MS = 30_000

/** The first result of `check` that is neither undefined nor false. @throws after `timeoutMs`, with the last failure. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let last: unknown
    try {
      last = await check()
      if (last !== undefined && last !== false) return last as Exclude<T, false | undefined>
    } catch (err) {
      last = err
    }
    if (performance.now() >= deadline) {
      const why = last instanceof Error ? last.message : `last look gave ${String(last)}`
      throw new Error(`not true after ${timeoutMs} ms: ${why}`, { cause: last })
    }
    await delay(LOOK_EVERY_MS)
  }
}
