/** The neighbours of this node: who is up, and what each said of itself when it came. */
import type { Clock } from '../lib/clock.ts'
import { neighboursOf } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'

/** What a neighbour said in its hello. */
export interface HelloFacts {
  readonly generation: number
  /** Of its topology; another one than ours is worth a look. */
  readonly topologyHash: string
  readonly epoch: string
  /** Base URL of its registry; the topology's one counts where the neighbour names none. */
  readonly endpoint?: string
  /** Of the keys with which its registry proves itself over TLS; see `fingerprintOf`. */
  readonly fingerprints?: readonly string[]
  /** For reading bytes there. */
  readonly token: string
}

/** How far a neighbour's clock is ahead of ours, as it was measured last. */
export interface ClockOffset {
  /** Its clock minus ours, milliseconds; wrong by half the travel time at most. */
  readonly offsetMs: number
  /** When it was measured, milliseconds of our clock. */
  readonly atMs: number
}

export interface Neighbour {
  readonly name: NodeName
  readonly state: 'up' | 'down'
  /** Of the last change of state, milliseconds since the Unix epoch. */
  readonly sinceMs: number
  readonly facts?: HelloFacts
  /** Kept when it goes down, until it is measured again. */
  readonly clock?: ClockOffset
  readonly lastError?: string
}

/** Where the registry of a neighbour is, and what is needed to read there. */
export interface Endpoint {
  readonly endpoint: string
  readonly token: string
  readonly fingerprints?: readonly string[]
}

export interface Neighbours {
  /** It is connected and has said hello. @returns false for a node that is no neighbour. */
  greeted(name: NodeName, facts: HelloFacts): boolean
  lost(name: NodeName): void
  failed(name: NodeName, reason: string): void
  /** Its clock minus ours, milliseconds. */
  measured(name: NodeName, offsetMs: number): void
  /** Called when an offset was measured, and when a neighbour comes or goes. */
  onClock(listener: () => void): void
  isUp(name: NodeName): boolean
  /** Where its registry is, while it is up. */
  endpointOf(name: NodeName): Endpoint | undefined
  list(): readonly Neighbour[]
}

export interface NeighboursDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly clock: Clock
}

export function createNeighbours({ topology, self, clock }: NeighboursDeps): Neighbours {
  const rows = new Map<NodeName, Neighbour>(
    neighboursOf(topology, self).map((name) => [
      name,
      { name, state: 'down', sinceMs: clock.now() },
    ]),
  )

  const clockListeners: (() => void)[] = []

  function tellClock(): void {
    for (const listener of clockListeners) listener()
  }

  function change(name: NodeName, make: (row: Neighbour) => Neighbour): boolean {
    const row = rows.get(name)
    if (row !== undefined) rows.set(name, make(row))
    return row !== undefined
  }

  return {
    greeted: (name, facts) => {
      const isNeighbour = change(name, (row) => ({
        name,
        state: 'up',
        sinceMs: row.state === 'up' ? row.sinceMs : clock.now(),
        facts,
        ...(row.clock === undefined ? {} : { clock: row.clock }),
      }))
      if (isNeighbour) tellClock()
      return isNeighbour
    },
    lost: (name) => {
      change(name, (row) => ({ ...row, state: 'down', sinceMs: clock.now() }))
      tellClock()
    },
    measured: (name, offsetMs) => {
      change(name, (row) => ({ ...row, clock: { offsetMs, atMs: clock.now() } }))
      tellClock()
    },
    onClock: (listener) => void clockListeners.push(listener),
    failed: (name, reason) => void change(name, (row) => ({ ...row, lastError: reason })),
    isUp: (name) => rows.get(name)?.state === 'up',
    endpointOf: (name) => {
      const row = rows.get(name)
      if (row?.state !== 'up' || row.facts === undefined) return undefined
      const { token, fingerprints } = row.facts
      const endpoint = topology.nodes.get(name)?.endpoint ?? row.facts.endpoint
      if (endpoint === undefined) return undefined
      return fingerprints === undefined ? { endpoint, token } : { endpoint, token, fingerprints }
    },
    list: () => [...rows.values()],
  }
}
