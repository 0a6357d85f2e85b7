/** Tells an operator that a neighbour runs another topology: once for each that it runs. */
import type { EventBus } from '../events/event-bus.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeenSet } from '../lib/seen-set.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Hello } from './hello-codec.ts'

/** Differences remembered so as not to be told again. */
const MAX_TOLD = 1_000

export function createDifferenceAlarm({
  topology,
  events,
  logger,
}: {
  readonly topology: Topology
  readonly events: EventBus
  readonly logger: Logger
}): (node: NodeName, hello: Pick<Hello, 'generation' | 'hash'>) => void {
  const told = createSeenSet({ limit: MAX_TOLD })
  return (node, { generation, hash }) => {
    if (hash === topology.hash || !told.add(`${node} ${generation} ${hash}`)) return
    const facts = { neighbour: node, generation, own: topology.generation }
    // Of different generations the lower one follows; of one generation nobody can tell which is meant.
    if (generation !== topology.generation) {
      logger.warn(facts, 'neighbour runs another topology')
      return
    }
    logger.error(
      facts,
      'neighbour runs another topology of the same generation: each goes by its own; give all nodes one file of a higher generation',
    )
    events.emit({ kind: 'topology-differs', node, generation })
  }
}
