/**
 * Fetches for clients that wait: where nobody gave it and a source went a moment ago, it is asked once more when it is back.
 * A neighbour that takes up another topology, or starts anew, is gone for as long as a client can wait, and a 404 is final.
 */
import type { EventBus } from '../events/event-bus.ts'
import type { Clock } from '../lib/clock.ts'
import { napUntil } from '../lib/nap.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Fetcher } from '../transfer/fetcher.ts'

export interface PatientFetcherDeps {
  readonly fetcher: Fetcher
  readonly neighbours: Pick<Neighbours, 'list' | 'isUp'>
  readonly isSource: (node: NodeName) => boolean
  readonly events: EventBus
  readonly clock: Clock
}

/** So long a source that is gone is thought to come back, milliseconds: it closes, opens and is dialled within one or two seconds. */
const MOMENT_MS = 3_000

export function createPatientFetcher(deps: PatientFetcherDeps): Fetcher {
  const { fetcher, neighbours, isSource, events, clock } = deps

  /** @returns whether one that was gone is back */
  async function isBack(signal: AbortSignal): Promise<boolean> {
    const gone = neighbours.list().filter(({ name, state, sinceMs }) => {
      const goneMs = clock.now() - sinceMs
      return state === 'down' && isSource(name) && goneMs >= 0 && goneMs < MOMENT_MS
    })
    if (gone.length === 0) return false
    const back = Promise.withResolvers<void>()
    const end = events.on('neighbour-up', ({ node }) => {
      if (gone.some(({ name }) => name === node)) back.resolve()
    })
    try {
      await napUntil(back.promise, MOMENT_MS, { clock, signal })
    } finally {
      end()
    }
    return gone.some(({ name }) => neighbours.isUp(name))
  }

  async function twice<T extends { readonly kind: string }>(
    fetch: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const pull = await fetch()
    return pull.kind !== 'pulled' && (await isBack(signal)) ? fetch() : pull
  }

  return {
    manifest: (repository, image, digest, options) =>
      twice(() => fetcher.manifest(repository, image, digest, options), options.signal),
    blob: (repository, image, blob, options) =>
      twice(() => fetcher.blob(repository, image, blob, options), options.signal),
  }
}
