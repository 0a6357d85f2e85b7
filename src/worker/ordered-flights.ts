/**
 * Flights that nodes may join which ask each other: a node joins one that was begun for a node behind it in the alphabet, else
 * it gets one of its own. So no circle of nodes waits for itself, wherever it was begun; who waits for whom stands in what is asked.
 */
import type { NodeName } from '../topology/topology.ts'
import { createFlights } from '../transfer/flights.ts'

export interface OrderedFlights<T> {
  /** `waiting`: nodes that wait for it, first the one that a client asked; none for a client of this node. */
  join(
    name: string,
    waiting: readonly NodeName[],
    fly: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>
}

interface Begun {
  readonly name: string
  readonly origin: NodeName
  readonly chain: string
}

export function createOrderedFlights<T>({ self }: { readonly self: NodeName }): OrderedFlights<T> {
  const flights = createFlights<T>()
  const running = new Map<string, Set<Begun>>()
  let begunSoFar = 0

  return {
    join: (name, waiting, fly, signal) => {
      const [origin, chain] = [waiting[0] ?? self, waiting.join()]
      const found = [...(running.get(name) ?? [])].find(
        (one) => one.chain === chain || origin < one.origin,
      )
      begunSoFar += 1
      const mine = { name: found?.name ?? `${name} ${begunSoFar}`, origin, chain }
      // Also in the place of the one found, where that is being given up.
      const begin = async (flight: AbortSignal) => {
        const begun = running.get(name) ?? new Set()
        running.set(name, begun.add(mine))
        try {
          return await fly(flight)
        } finally {
          begun.delete(mine)
          if (begun.size === 0) running.delete(name)
        }
      }
      return flights.join(mine.name, begin, signal)
    },
  }
}
