/** One short story, in which a node dies at one call of its ports and comes back: it must end as if nothing had been. */
import type { NodeName } from '../../src/topology/topology.ts'
import { createActions } from './actions.ts'
import { checkAtRest } from './at-rest.ts'
import { createWorld } from './create-world.ts'
import { checkChanged } from './invariants.ts'
import { rest } from './rest.ts'
import { pairTopology } from './topologies.ts'
import { advance, fromOutside, nodeNamed, startNode, type World } from './world.ts'

export interface CrashPoint {
  readonly node: NodeName
  /** The call after which, or before which, the first process of the node is gone; from 1 on. */
  readonly call: number
  readonly isEffective: boolean
}

const CALM = {
  collects: false,
  losesDisks: false,
  fillsDisks: false,
  movesClocks: false,
  hasOneWay: false,
  diesAtCalls: true,
  isAttacked: false,
  changesTopology: false,
  slowMs: 0,
  dropRate: 0.3,
  duplicateRate: 0,
  maxDelayMs: 20,
}
const topology = pairTopology()

/** Calls of the ports of a node that lives through the story. */
export async function lastCallOf(node: NodeName): Promise<number> {
  const world = await tell({ node, call: Number.POSITIVE_INFINITY, isEffective: false })
  return nodeNamed(world, node).process?.life.calls() ?? 0
}

/** @returns what went wrong; undefined when every promise held */
export async function runCrashPoint(point: CrashPoint): Promise<string | undefined> {
  try {
    const world = await tell(point)
    for (const node of world.nodes.values()) await startNode(world, node)
    await rest(world)
    await fromOutside(world, () => checkAtRest(world))
    return undefined
  } catch (err) {
    return err instanceof Error ? err.message : String(err)
  }
}

async function tell({ node, call, isEffective }: CrashPoint): Promise<World> {
  let isFirst = true
  const world = await createWorld({
    seed: 1,
    topology,
    faults: CALM,
    story: [],
    onStart: ({ name }, life) => {
      if (name === node && isFirst) life.endAt(call, isEffective)
      if (name === node) isFirst = false
    },
  })
  for (const one of world.nodes.values()) await startNode(world, one)
  const { push, promote, sign, remove } = createActions(world)
  for (const act of [push, sign, promote, push, remove, push]) {
    await advance(world, 1_000)
    await act()
    await fromOutside(world, () => checkChanged(world))
  }
  await advance(world, 10_000)
  return world
}
