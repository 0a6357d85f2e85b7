/** What a node knows of the work in hand, for whoever explains it to a person. It decides nothing. */
import type { Holders } from '../peers/holders.ts'
import type { Reading } from '../peers/reading.ts'
import type { Transfers } from '../peers/transfers.ts'
import type { Naming } from '../topology/flow.ts'

export interface Insight {
  readonly naming: Naming
  readonly holders: Pick<Holders, 'of'>
  readonly reading: Reading
  readonly transfers: Pick<Transfers, 'list'>
  /** What is wanted and not held is being looked up in all that is known. */
  readonly isScanning: () => boolean
}
