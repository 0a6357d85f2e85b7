/** Other topologies for a world in the middle of its traffic: a node runs one file, its neighbour still another. */
import type { SimNode } from '../../src/simulator/sim-node.ts'
import { checkChanged } from './invariants.ts'
import { topologyVariants } from './topologies.ts'
import { fromOutside, until, type World } from './world.ts'

/** Closing waits for a write and for bytes on their way, simulated milliseconds. */
const CHANGE_LIMIT_MS = 60_000

/** A next file for all, which no node runs yet. */
export function makeNextFile(world: World): void {
  const { topology, random, tell } = world
  const variants = topologyVariants(topology.realm).filter(
    (one) => one.topology.hash !== topology.hash,
  )
  if (variants.length === 0) return
  const variant = random.pick(variants)
  const generation = topology.generation + 1
  // Another object each time: what is remembered of one file is not remembered of the next.
  world.topology = { ...variant.topology, generation }
  tell(`a file of generation ${generation}: ${variant.what}`)
}

/** It takes up the newest file; it may die on the way. */
export async function changeNode(world: World, node: SimNode): Promise<void> {
  const { memory, files, topology, tell } = world
  if (node.topology === topology) return
  // What it did by the file that it runs is judged by that.
  await fromOutside(world, () => checkChanged(world))
  tell(`${node.name} takes up generation ${topology.generation}`)
  const done = files.change(node.name, topology)
  try {
    await until(world, node.change(topology), CHANGE_LIMIT_MS)
  } catch (err) {
    // A node that cannot write does not run; it is started again when there is space.
    if (!node.disk.isFull) throw err
    tell(`${node.name} did not take it up: its disk is full`)
  }
  done()
  await fromOutside(world, () => memory.reread(node))
}
