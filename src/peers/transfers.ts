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
}

export interface Transfers {
  begin(what: Pick<Transfer, 'node' | 'repository' | 'digest'>): RunningTransfer
  list(): readonly Transfer[]
}

export interface RunningTransfer {
  add(bytes: number): void
  end(): void
}

/** As many as connections to other nodes at most. */
export function createTransfers({ clock }: { readonly clock: Clock }): Transfers {
  const running = new Set<{ -readonly [Key in keyof Transfer]: Transfer[Key] }>()

  return {
    begin: (what) => {
      const transfer = { ...what, sinceMs: clock.now(), bytes: 0 }
      running.add(transfer)
      return {
        add: (bytes) => {
          transfer.bytes += bytes
        },
        end: () => void running.delete(transfer),
      }
    },
    list: () => [...running].map((transfer) => ({ ...transfer })),
  }
}
