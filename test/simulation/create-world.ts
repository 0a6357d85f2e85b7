/** Builds a world: its nodes are there, and down. */
import type { MeshEvent } from '../../src/events/mesh-event.ts'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock } from '../../src/simulator/sim-clock.ts'
import type { SimLife } from '../../src/simulator/sim-life.ts'
import { createSimHub, type SimHubOptions } from '../../src/simulator/sim-network.ts'
import { createSimNode, type SimNode } from '../../src/simulator/sim-node.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { createFilesRun } from './files-run.ts'
import { createGuards } from './guards.ts'
import { createMemory } from './memory.ts'
import { describePlot, type Plot, plotOf } from './plot.ts'
import type { World } from './world.ts'

export interface WorldOptions {
  readonly seed: number
  readonly topology: Topology
  /** What the seed does not choose. */
  readonly faults: Partial<Plot>
  /** Gets the lines of the story, as it goes on. */
  readonly story: string[]
  readonly onStart?: (node: SimNode, life: SimLife) => void
}

const START_MS = Date.UTC(2026, 0, 1)
/** Of the slices of a blob on its way, where nodes are attacked. */
const CORRUPT_RATE = 0.01

export async function createWorld(options: WorldOptions): Promise<World> {
  const { seed, topology, story, onStart = () => {} } = options
  const random = createSeededRandom(seed)
  const plot = { ...plotOf(random), ...options.faults }
  const clock = createSimClock(START_MS)
  const tell = (text: string) => {
    story.push(`${((clock.now() - START_MS) / 1000).toFixed(3).padStart(10)} ${text}`)
  }
  tell(`${topology.realm}: ${describePlot(plot)}`)
  const memory = createMemory(topology, () => clock.now())
  const files = createFilesRun(topology, () => clock.now())
  const hub = createSimHub({ clock, random, onSpread: memory.spread }, ratesOf(plot))
  const nodes = new Map<NodeName, SimNode>()
  const onEvent = (node: SimNode, event: MeshEvent) => {
    memory.hear(node, event)
    void files.check(node, event).then((problem) => {
      if (problem !== undefined) memory.violations.push(problem)
    })
    const line = lineOf(event)
    if (line !== undefined) tell(`    ${node.name} ${line}`)
  }
  const deps = { topology, hub, clock, random, nodes, onEvent, onStart }
  for (const name of topology.nodes.keys()) {
    const node = await createSimNode(deps, name)
    node.disk.slowMs = plot.slowMs
    nodes.set(name, node)
  }
  const pending = new Set<Promise<void>>()
  const guards = createGuards(memory)
  return { topology, plot, random, clock, hub, nodes, memory, files, guards, tell, pending }
}

function ratesOf({ dropRate, duplicateRate, maxDelayMs, isAttacked }: Plot): SimHubOptions {
  return { dropRate, duplicateRate, maxDelayMs, corruptRate: isAttacked ? CORRUPT_RATE : 0 }
}

/** Of what a node tells, what a person needs to follow the story. */
function lineOf(event: MeshEvent): string | undefined {
  switch (event.kind) {
    case 'record-stored': {
      const { record, id } = event.signed
      const what = record.kind === 'put' ? record.digest.slice(7, 15) : 'deleted'
      return `knows ${record.repository}:${record.reference.slice(0, 20)} = ${what} (${id.slice(0, 8)}) by ${event.arrival.via}`
    }
    case 'visible-changed':
      return `shows ${event.key.repository}:${event.key.reference.slice(0, 20)} = ${event.digest?.slice(7, 15) ?? 'nothing'}`
    case 'blob-fetched':
      return `fetched ${event.digest.slice(7, 15)} from ${event.from}`
    case 'neighbour-up':
    case 'neighbour-down':
      return `${event.kind} ${event.node}`
    case 'job-changed': {
      const { repository, digest, state, reason = '' } = event.job
      // Its phases are seen by what it fetches.
      return state === 'running'
        ? undefined
        : `${state} ${repository} ${digest.slice(7, 15)} ${reason}`
    }
    case 'feed-restarted':
      return `reads ${event.node} from the beginning`
    case 'record-refused':
      return `refused a record from ${event.from}: ${event.reason}`
    default:
      return undefined
  }
}
