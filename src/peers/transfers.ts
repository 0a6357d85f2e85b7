/** The transfers that run now: which blob comes from whom, and how much of it has come. */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'

export interface Transfer {
  readonly node: NodeName
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Milliseconds since the Unix epoch. */
  readonly sinceMs: number
  /** That have come in this transfer. */
  readonly bytes: number
  /** Over the last seconds. */
  readonly bytesPerSecond: number
}

export interface Transfers {
  begin(what: Pick<Transfer, 'node' | 'repository' | 'digest'>): RunningTransfer
  list(): readonly Transfer[]
}

export interface RunningTransfer {
  add(bytes: number): void
  end(): void
}

/** Over so long a rate is taken, milliseconds: a person sees it follow, and it does not flicker. */
const RATE_MS = 5_000
/** A mark of how much had come at most so often, milliseconds. */
const MARK_MS = 250

/** How much had come when. */
interface Mark {
  readonly atMs: number
  readonly bytes: number
}

interface Running extends Omit<Transfer, 'bytesPerSecond' | 'bytes'> {
  bytes: number
  /** In order; the first is that of RATE_MS ago. */
  readonly marks: Mark[]
}

/** As many as connections to other nodes at most. */
export function createTransfers({ clock }: { readonly clock: Clock }): Transfers {
  const running = new Set<Running>()

  function rateOf({ marks, bytes }: Running): number {
    const now = clock.now()
    while ((marks[1]?.atMs ?? now) <= now - RATE_MS) marks.shift()
    const [first] = marks
    const ms = first === undefined ? 0 : now - first.atMs
    // In the first moment, and when the clock was set back, there is nothing to tell.
    return first === undefined || ms < MARK_MS ? 0 : ((bytes - first.bytes) * 1_000) / ms
  }

  return {
    begin: (what) => {
      const sinceMs = clock.now()
      const transfer: Running = { ...what, sinceMs, bytes: 0, marks: [{ atMs: sinceMs, bytes: 0 }] }
      running.add(transfer)
      return {
        add: (bytes) => {
          const { marks } = transfer
          const now = clock.now()
          transfer.bytes += bytes
          if (now - (marks.at(-1)?.atMs ?? 0) < MARK_MS) return
          marks.push({ atMs: now, bytes: transfer.bytes })
          rateOf(transfer)
        },
        end: () => void running.delete(transfer),
      }
    },
    list: () =>
      [...running].map((transfer) => {
        const { marks: _, ...told } = transfer
        return { ...told, bytesPerSecond: rateOf(transfer) }
      }),
  }
}
