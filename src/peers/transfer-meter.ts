/** How much each source is doing for this node now, and how fast it was: measured where the bytes come in. */
import type { Clock } from '../lib/clock.ts'
import type { NodeName } from '../topology/topology.ts'

export interface TransferMeter {
  /** A transfer begins. @returns what to call once when it ends, with the bytes that came. */
  begin(node: NodeName): (bytes: number) => void
  running(node: NodeName): number
  /** Bytes per second, a moving average; undefined before the first transfer that shows it. */
  speed(node: NodeName): number | undefined
}

/** Weight of the newest transfer: four of them outweigh everything before. */
const NEWEST = 0.25
/** Transfers that are smaller, bytes, measure the round trip and not the link. */
const MIN_BYTES = 256 * 1024

export interface TransferMeterDeps {
  readonly clock: Clock
  /** At which the source may send now; undefined: as fast as it can. */
  readonly limit?: (node: NodeName) => number | undefined
}

/** One row a source: bounded by the topology. */
export function createTransferMeter({
  clock,
  limit = () => undefined,
}: TransferMeterDeps): TransferMeter {
  const running = new Map<NodeName, number>()
  const speeds = new Map<NodeName, number>()

  return {
    begin: (node) => {
      running.set(node, (running.get(node) ?? 0) + 1)
      const beganMs = clock.now()
      return (bytes) => {
        running.set(node, (running.get(node) ?? 1) - 1)
        const ms = clock.now() - beganMs
        // The clock may have been set back meanwhile.
        if (bytes < MIN_BYTES || ms <= 0) return
        // What its link held back says nothing of the source.
        if (limit(node) !== undefined) return
        const speed = (bytes * 1_000) / ms
        const before = speeds.get(node) ?? speed
        speeds.set(node, before + (speed - before) * NEWEST)
      }
    },
    running: (node) => running.get(node) ?? 0,
    speed: (node) => speeds.get(node),
  }
}
