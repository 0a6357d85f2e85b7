/** A world: a whole mesh in one process on simulated time, and what is remembered of it so that its promises can be checked. */
import type { SeededRandom } from '../../src/simulator/seeded-random.ts'
import { type SimClock, settle } from '../../src/simulator/sim-clock.ts'
import type { SimHub } from '../../src/simulator/sim-network.ts'
import type { SimNode } from '../../src/simulator/sim-node.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import type { FilesRun } from './files-run.ts'
import type { Guards } from './guards.ts'
import type { Memory } from './memory.ts'
import type { Plot } from './plot.ts'

export interface World {
  /** The newest file: each node may run an earlier one until all is healed. */
  topology: Topology
  readonly plot: Plot
  readonly random: SeededRandom
  readonly clock: SimClock
  readonly hub: SimHub
  readonly nodes: ReadonlyMap<NodeName, SimNode>
  readonly memory: Memory
  readonly files: FilesRun
  readonly guards: Guards
  /** Pushes and deletes that were asked for and not answered yet. */
  readonly pending: Set<Promise<void>>
  /** What happened, with simulated times: the story of a seed, equal whenever it runs. */
  tell(text: string): void
}

/** Lets time pass, event by event. */
export async function advance({ clock }: World, ms: number): Promise<void> {
  let isOver = false
  void clock.sleep(ms).then(() => {
    isOver = true
  })
  const until = clock.now() + ms
  await settle()
  while (!isOver && clock.step(until)) await settle()
}

/** Lets time pass until a promise is settled. @throws what it throws, and when it takes too long */
export async function until<T>(world: World, promise: Promise<T>, limitMs: number): Promise<T> {
  const end = world.clock.now() + limitMs
  let isSettled = false
  void promise
    .catch(() => {})
    .then(() => {
      isSettled = true
    })
  await settle()
  while (!isSettled && world.clock.step(end)) await settle()
  if (!isSettled) throw new Error(`not done within ${limitMs} simulated ms`)
  return promise
}

/** Starts a node; it may die on the way. */
export async function startNode(world: World, node: SimNode): Promise<void> {
  if (node.process !== undefined) return
  try {
    await until(world, node.start(), START_LIMIT_MS)
  } catch (err) {
    // A node that cannot write does not start; it is started again when there is space.
    if (!node.disk.isFull) throw err
    world.tell(`${node.name} did not start: its disk is full`)
  }
  await fromOutside(world, () => world.memory.reread(node))
}

/** Looks at nodes without being one of the calls at which they die. */
export async function fromOutside(world: World, look: () => Promise<void>): Promise<void> {
  // A process that dies after a call which is under way does it now: the look would wait for it without end.
  await settle()
  const lives = [...world.nodes.values()].flatMap(({ process }) => process?.life ?? [])
  for (const life of lives) life.isPaused = true
  await look()
  for (const life of lives) life.isPaused = false
}

/** A start needs no neighbour: it must not wait for one. */
const START_LIMIT_MS = 60_000

export function nodeNamed({ nodes }: World, name: NodeName): SimNode {
  const node = nodes.get(name)
  if (node === undefined) throw new Error(`no node ${name}`)
  return node
}
