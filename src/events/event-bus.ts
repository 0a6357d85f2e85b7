/** Publish and subscribe, in the process, typed by the event's kind. A subscriber must not throw and not block. */
import type { Logger } from '../lib/logger.ts'
import type { EventOf, MeshEvent, MeshEventKind } from './mesh-event.ts'

export interface EventBus {
  emit(event: MeshEvent): void
  /** Calls `listener` for every event of the kind, in order, until the returned function is called. */
  on<K extends MeshEventKind>(kind: K, listener: (event: EventOf<K>) => void): () => void
  onAny(listener: (event: MeshEvent) => void): () => void
}

export function createEventBus(deps: { readonly logger: Logger }): EventBus {
  const listeners = new Map<MeshEventKind | '*', Set<(event: MeshEvent) => void>>()

  function subscribe(kind: MeshEventKind | '*', listener: (event: MeshEvent) => void): () => void {
    const set = listeners.get(kind) ?? new Set()
    listeners.set(kind, set.add(listener))
    return () => void set.delete(listener)
  }

  function deliver(kind: MeshEventKind | '*', event: MeshEvent): void {
    for (const listener of listeners.get(kind) ?? []) {
      try {
        listener(event)
      } catch (err) {
        // One broken listener must not keep the others from hearing of it.
        deps.logger.error({ err, kind: event.kind }, 'event listener failed')
      }
    }
  }

  return {
    emit: (event) => {
      deliver(event.kind, event)
      deliver('*', event)
    },
    on: (kind, listener) => subscribe(kind, listener as (event: MeshEvent) => void),
    onAny: (listener) => subscribe('*', listener),
  }
}
