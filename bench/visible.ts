/** Follows the live streams of some nodes, so that asking again and again does not load what is measured. */
import { type LiveEvent, readEvents } from '../src/cli/live-events.ts'

export interface Visible extends AsyncDisposable {
  /** Resolves when every node has said that a tag shows this digest; also when they said it before it was asked. */
  everywhere(digest: string): Promise<void>
}

/** Resolves when every stream has begun. */
export async function watchVisible(urls: readonly string[]): Promise<Visible> {
  const over = new AbortController()
  const shownAt = new Map<string, Set<string>>()
  const waiting = new Map<string, () => void>()
  const isEverywhere = (digest: string) => shownAt.get(digest)?.size === urls.length

  async function follow(url: string): Promise<void> {
    const begun = Promise.withResolvers<void>()
    const onEvent = ({ event, data }: LiveEvent) => {
      if (event === 'snapshot') begun.resolve()
      const { digest } = data as { readonly digest?: string }
      if (event !== 'visible-changed' || digest === undefined) return
      shownAt.set(digest, (shownAt.get(digest) ?? new Set()).add(url))
      if (isEverywhere(digest)) waiting.get(digest)?.()
    }
    readEvents(url, onEvent, { signal: over.signal }).catch(begun.reject)
    await begun.promise
  }

  await Promise.all(urls.map(follow))
  return {
    everywhere: (digest) =>
      new Promise((resolve) => {
        waiting.set(digest, resolve)
        if (isEverywhere(digest)) resolve()
      }),
    [Symbol.asyncDispose]: async () => over.abort(),
  }
}
