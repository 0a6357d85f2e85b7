/** What this node sends on its own: no faster than the links to its receiver may carry. Reading it slower holds back who sends it. */
import type { Clock } from '../lib/clock.ts'
import type { PairLimit } from '../topology/rates.ts'
import type { NodeName } from '../topology/topology.ts'
import { createPacer, type Pacer } from './pacer.ts'

export interface SendingPacersDeps {
  readonly self: NodeName
  /** Of what goes to the node; undefined: as fast as it goes. */
  readonly limitTo: (node: NodeName) => PairLimit | undefined
  readonly clock: Clock
}

/** @returns the pacer of all that goes to a node; undefined where nothing limits it */
export function createSendingPacers({
  self,
  limitTo,
  clock,
}: SendingPacersDeps): (node: NodeName) => Pacer | undefined {
  /** Of the writers that were asked: no more than the topology has. */
  const pacers = new Map<NodeName, Pacer | undefined>()
  return (node) => {
    if (pacers.has(node)) return pacers.get(node)
    const limit = limitTo(node)
    const pacer = limit && createPacer({ from: self, limit, clock })
    pacers.set(node, pacer)
    return pacer
  }
}

/** The bytes in parts, each when it may go. @throws LinkClosedError; the signal's reason */
export async function* whenItMayGo(
  bytes: Uint8Array,
  pacer: Pacer,
  options: { readonly isSmall: boolean; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const length = await pacer.take(bytes.length - at, options)
    pacer.arrived(length)
    yield bytes.subarray(at, at + length)
    at += length
  }
}
