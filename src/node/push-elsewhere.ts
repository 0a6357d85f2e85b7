/** What this node does with pushes that it is no writer for, from the topology, its neighbours and connections of its own. */
import type { Clock } from '../lib/clock.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Neighbours } from '../peers/neighbours.ts'
import { createWriterChoice } from '../peers/writer-choice.ts'
import type { Elsewhere } from '../registry/elsewhere.ts'
import { createPassedPushes } from '../registry/passed-pushes.ts'
import { originOf, writersWithEndpoints } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
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
}

export interface PushElsewhereOptions {
  /** Requests passed on at once. */
  readonly maxRequests: number
  /** What clients of this node speak. */
  readonly scheme: 'http' | 'https'
}

export function createPushElsewhere(
  deps: PushElsewhereDeps,
  options: PushElsewhereOptions,
): Elsewhere & AsyncDisposable {
  const { topology, self, neighbours, greetAgain, trust, clock } = deps
  const writers = createWriterChoice({ topology, self, neighbours, clock })
  const forwarder = createPushForwarder(
    {
      self,
      fingerprints: (node) => neighbours.endpointOf(node)?.fingerprints,
      greetAgain,
      trust: trust.context,
    },
    options,
  )
  const proxied = topology.origins.find(
    (origin) => origin.elsewhere === 'proxy' && !origin.writers.includes(self),
  )
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
