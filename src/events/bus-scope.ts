/** A view of the bus for parts that end before it does: what they subscribed to through it ends with it. */
import type { EventBus } from './event-bus.ts'

export interface BusScope extends EventBus, Disposable {}

export function createBusScope(bus: EventBus): BusScope {
  const ends = new Set<() => void>()

  function kept(unsubscribe: () => void): () => void {
    ends.add(unsubscribe)
    return () => {
      ends.delete(unsubscribe)
      unsubscribe()
    }
  }

  return {
    emit: (event) => bus.emit(event),
    on: (kind, listener) => kept(bus.on(kind, listener)),
    onAny: (listener) => kept(bus.onAny(listener)),
    [Symbol.dispose]: () => {
      for (const end of ends) end()
      ends.clear()
    },
  }
}
