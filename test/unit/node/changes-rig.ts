/** A node's changes of its topology, with a node that only notes what it is told to do. */
import { createEventBus } from '../../../src/events/event-bus.ts'
import type { MeshEvent } from '../../../src/events/mesh-event.ts'
import type { SealedTopology } from '../../../src/gossip/topology-codec.ts'
import { EntrepotError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createTopologyChanges } from '../../../src/node/topology-changes.ts'
import type { RunningTopology } from '../../../src/node/topology-check.ts'
import { openTopologyFiles } from '../../../src/node/topology-files.ts'
import { sealTopology } from '../../../src/node/topology-seal.ts'
import { type Identity, identityFromSeed } from '../../../src/record/identity.ts'
import { readTopology } from '../../../src/topology/topology-file.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'
import { makeTemporaryDirectory } from '../../helpers/temporary-directory.ts'

export const OWNER = identityFromSeed(Buffer.alloc(32, 'owner'))
export const HEIR = identityFromSeed(Buffer.alloc(32, 'heir'))

interface TextOptions {
  readonly owner?: Identity | undefined
  readonly realm?: string
  readonly leaves?: string
  readonly more?: string
}

export function textOf(generation: number, options: TextOptions = {}): string {
  const { realm = 'demo', leaves = 'lon, par', more = '' } = options
  const owner = 'owner' in options ? options.owner : OWNER
  const nodes = ['hq', 'lon', 'par'].map((name) => `  ${name}: { peerId: ${peerIdOfName(name)} }`)
  return `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: ${realm}, generation: ${generation}${owner === undefined ? '' : `, owner: ${owner.peerId}`} }
nodes:
${nodes.join('\n')}
origins: [{ repos: ["**"], writers: [hq] }]
policies: { all: { match: { repos: ["**"] }, mode: eager } }
links: [{ shape: star, center: hq, leaves: [${leaves}], policies: [all] }]
${more}`
}

export function runningOf(text: string): RunningTopology {
  const { topology, findings } = readTopology(text)
  if (topology === undefined) throw new Error(JSON.stringify(findings))
  return { topology, text }
}

export function sealOf(text: string, signer: Identity = OWNER): SealedTopology {
  const { realm, generation } = runningOf(text).topology
  return sealTopology(signer, { realm, generation, text })
}

export async function setUp(firstText = textOf(1), { isOpen = true } = {}) {
  const directory = await makeTemporaryDirectory()
  const files = await openTopologyFiles(directory.path)
  const events = createEventBus({ logger: silentLogger })
  const told: MeshEvent[] = []
  events.onAny((event) => void told.push(event))
  const steps: string[] = []
  const clock = createFakeClock()
  const state = {
    fails: false,
    isStopping: false,
    isDiskFull: false,
    unfit: undefined as string | undefined,
    beforeOffer: async () => {},
    beforeRun: async () => {},
  }
  const changes = createTopologyChanges(
    {
      files: {
        ...files,
        keep: async (running) => {
          if (state.isDiskFull) throw new Error('ENOSPC: no space left on device')
          await files.keep(running)
        },
      },
      unfit: () => state.unfit,
      replace: async ({ generation }, onNotRun) => {
        steps.push(`replace ${generation}`)
        await state.beforeRun()
        if (state.isStopping) throw new EntrepotError('NODE_STOPPING', 'this node is stopping')
        if (!state.fails) return
        await onNotRun()
        throw new EntrepotError('TOPOLOGY_NOT_RUN', 'it cannot be run here: no port')
      },
      offer: async () => {
        steps.push('offer')
        await state.beforeOffer()
      },
      events,
      clock,
      logger: silentLogger,
    },
    runningOf(firstText),
  )
  if (isOpen) changes.open()
  return { directory, files, changes, told, steps, state, clock }
}
