/** A stream that ends when a signal says so, also while nothing comes: a silent sender must not hold up who gave up on it. */
import { reasonOf } from './abort.ts'

/** @throws the signal's reason when it is aborted before the source has ended */
export async function* abortable<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  let giveUp: (reason: Error) => void = () => {}
  const onAbort = () => giveUp(reasonOf(signal))
  signal.addEventListener('abort', onAbort)
  try {
    for (;;) {
      // A race against one long-lived promise would keep a reaction for every chunk.
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        giveUp = reject
        if (signal.aborted) onAbort()
        else iterator.next().then(resolve, reject)
      })
      if (next.done === true) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: an async generator answers only when what it waits for has come.
    Promise.resolve(iterator.return?.()).catch(() => {})
  }
}
