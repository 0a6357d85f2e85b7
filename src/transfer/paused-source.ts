/** A source that a person can pause: what comes from a paused node is cut off at once, and nothing more is asked of it. */
import type { EventBus } from '../events/event-bus.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Refused, RegistrySource } from './registry-source.ts'

export interface PausedSourceDeps {
  readonly source: RegistrySource
  /** Why nothing is fetched from the node, for a person; undefined where it is. */
  readonly reasonFor: (node: NodeName) => string | undefined
  /** Tells when that changes. */
  readonly events: Pick<EventBus, 'on'>
}

export function createPausedSource(deps: PausedSourceDeps): RegistrySource & Disposable {
  const { source, reasonFor, events } = deps
  /** What runs: as much as connections to other nodes at most. */
  const running = new Map<AbortController, NodeName>()
  const unsubscribe = events.on('pauses-changed', () => {
    for (const [stop, node] of running) {
      const reason = reasonFor(node)
      if (reason !== undefined) stop.abort(new DOMException(reason, 'AbortError'))
    }
  })

  function begin(node: NodeName, signal: AbortSignal) {
    const stop = new AbortController()
    running.set(stop, node)
    return {
      signal: AbortSignal.any([signal, stop.signal]),
      end: () => void running.delete(stop),
      /** What the pause cut off; undefined where something else ended it. */
      cutOff: (): Refused | undefined =>
        stop.signal.aborted && !signal.aborted
          ? { kind: 'unreachable', reason: reasonFor(node) ?? 'was paused' }
          : undefined,
    }
  }

  return {
    manifest: async (node, repository, digest, options) => {
      const reason = reasonFor(node)
      if (reason !== undefined) return { kind: 'unreachable', reason }
      const run = begin(node, options.signal)
      try {
        return await source.manifest(node, repository, digest, {
          ...options,
          signal: run.signal,
        })
      } catch (err) {
        const cut = run.cutOff()
        if (cut !== undefined) return cut
        throw err
      } finally {
        run.end()
      }
    },
    blob: async (node, repository, digest, options) => {
      const reason = reasonFor(node)
      if (reason !== undefined) return { kind: 'unreachable', reason }
      const run = begin(node, options.signal)
      try {
        const { signal } = run
        const answer = await source.blob(node, repository, digest, { ...options, signal })
        if (answer.kind === 'blob') return { ...answer, body: ending(answer.body, run.end) }
        run.end()
        return answer
      } catch (err) {
        run.end()
        const cut = run.cutOff()
        if (cut !== undefined) return cut
        throw err
      }
    },
    [Symbol.dispose]: unsubscribe,
  }
}

async function* ending(
  body: AsyncIterable<Uint8Array>,
  end: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } finally {
    end()
  }
}
