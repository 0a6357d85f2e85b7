/** How far this node has read the feed of each source, and each of its readers its own. In memory: a restart begins anew. */
import type { Clock } from '../lib/clock.ts'
import type { NodeName } from '../topology/topology.ts'

export interface ReadPosition {
  readonly epoch: string
  /** Everything up to here is durable at the reader. */
  readonly through: number
  /** Where the feed ended when its node answered. */
  readonly head: number
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
}

export interface ReaderPosition {
  readonly node: NodeName
  /** It has read up to here, of this start's feed, and what followed until now does not concern it. */
  readonly through: number
  readonly atMs: number
  /** It waits for news there at this moment: it has kept all before. */
  readonly isWaiting: boolean
}

export interface Reading {
  /** An answer of a source was applied. */
  read(node: NodeName, position: Omit<ReadPosition, 'atMs'>): void
  /** A reader waits for news after `through`. @returns what to call when it waits there no longer */
  waits(node: NodeName, through: number): () => void
  of(source: NodeName): ReadPosition | undefined
  /** Whether the source was read to its end. */
  isWhole(source: NodeName): boolean
  readers(): readonly ReaderPosition[]
}

/** One row a neighbour: bounded by the topology. */
export function createReading({ clock }: { readonly clock: Clock }): Reading {
  const sources = new Map<NodeName, ReadPosition>()
  const readers = new Map<NodeName, ReaderPosition>()

  return {
    read: (node, { epoch, through, head }) => {
      sources.set(node, { epoch, through, head, atMs: clock.now() })
    },
    waits: (node, through) => {
      const row = { node, through, atMs: clock.now(), isWaiting: true }
      readers.set(node, row)
      return () => {
        // It may wait on a newer connection already, while this one has not noticed that it is dead.
        if (readers.get(node) === row) readers.set(node, { ...row, isWaiting: false })
      }
    },
    of: (source) => sources.get(source),
    isWhole: (source) => {
      const { through, head } = sources.get(source) ?? {}
      return through !== undefined && head !== undefined && through >= head
    },
    readers: () => [...readers.values()],
  }
}
