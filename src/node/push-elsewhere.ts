/** What this node does with pushes that it is no writer for, from the topology, its neighbours and connections of its own. */
import type { AnonymousRight } from '../access/access.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import { createWriterChoice } from '../peers/writer-choice.ts'
import type { Elsewhere } from '../registry/elsewhere.ts'
import { createPassedPushes } from '../registry/passed-pushes.ts'
import { originOf, writersWithEndpoints } from '../topology/origins.ts'
import { limitsInto } from '../topology/rates.ts'
import type { NodeName, Origin, Topology } from '../topology/topology.ts'
import { createPushForwarder } from '../transfer/push-forwarder.ts'
import type { Trust } from './trust.ts'

export interface PushElsewhereDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly neighbours: Neighbours
  /** Asks a neighbour over the mesh what it serves now. */
  readonly greetAgain: (node: NodeName) => Promise<void>
  readonly trust: Trust
  readonly clock: Clock
  readonly logger: Logger
}

export interface PushElsewhereOptions {
  /** What clients without credentials may do here. */
  readonly anonymous: AnonymousRight
  /** Requests passed on at once. */
  readonly maxRequests: number
  /** What clients of this node speak. */
  readonly scheme: 'http' | 'https'
}

export function createPushElsewhere(
  deps: PushElsewhereDeps,
  options: PushElsewhereOptions,
): Elsewhere & AsyncDisposable {
  const { topology, self, neighbours, greetAgain, trust, clock, logger } = deps
  const writers = createWriterChoice({ topology, self, neighbours, clock })
  const forwarder = createPushForwarder(
    {
      self,
      fingerprints: (node) => neighbours.endpointOf(node)?.fingerprints,
      greetAgain,
      trust: trust.context,
      // As the writer would hold back what it asks of this node.
      limitTo: (node) => limitsInto(topology, node).get(self),
      clock,
    },
    options,
  )
  const first = (way: Origin['elsewhere']) =>
    topology.origins.find((origin) => origin.elsewhere === way && !origin.writers.includes(self))
  const proxied = first('proxy')
  if (options.anonymous === 'none' && first('redirect') !== undefined) {
    const fields = { expected: 'elsewhere: proxy, or --anonymous pull', got: 'elsewhere: redirect' }
    logger.warn(fields, 'clients need credentials here and take none along a redirect')
  }
  return {
    wayOf: (repository: RepositoryName) => {
      const origin = originOf(topology, repository)
      if (origin === undefined || origin.writers.includes(self)) return undefined
      return origin.elsewhere === 'reject' ? undefined : origin.elsewhere
    },
    judges: () => writers.livingOf(proxied?.writers ?? []),
    namesOf: (repository) => writersWithEndpoints(topology, repository),
    writers,
    pushes: createPassedPushes({ clock }),
    isAnswering: async (writer) => neighbours.isUp(writer.name) || forwarder.isReady(writer),
    forward: forwarder.forward,
    [Symbol.asyncDispose]: () => forwarder[Symbol.asyncDispose](),
  }
}
