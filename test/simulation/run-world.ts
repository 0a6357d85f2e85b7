/** One seed from its beginning to its rest. */
import { createActions, repositoriesOf } from './actions.ts'
import { checkAtRest } from './at-rest.ts'
import { createWorld, type WorldOptions } from './create-world.ts'
import { createFaults, type Faults } from './faults.ts'
import { forge, pushWhereNobodyMay } from './forgeries.ts'
import { isGuarded } from './guards.ts'
import { checkChanged, checkRemembers } from './invariants.ts'
import { rest } from './rest.ts'
import { advance, fromOutside, startNode, until, type World } from './world.ts'

/** Of a step in a world whose topology changes: one in five. */
const CHANGES = 10
/** Of a step in a world with guards: many deletes at once, and a person's word. */
const GUARDS = 5
/** A person's word is noted within this, simulated milliseconds. */
const CONFIRM_LIMIT_MS = 60_000

/** @throws with a message when a promise of the mesh is broken; the story says how it came to that */
export async function runWorld(options: WorldOptions): Promise<World> {
  const world = await createWorld(options)
  const { nodes, plot, random, tell } = world
  // Some join late.
  for (const node of nodes.values()) if (random.fraction() < 0.8) await startNode(world, node)

  const faults = createFaults(world)
  const act = chooser(world, faults)
  for (let step = 0; step < plot.steps; step += 1) {
    await act()
    await advance(world, random.below(plot.stepMs))
    await look(world)
  }
  tell('all is healed')
  await faults.heal()
  await rest(world)
  await fromOutside(world, () => checkAtRest(world))
  if (!isGuarded(world.topology)) return world
  tell('a person lets all deletes go')
  await confirmAll(world)
  await rest(world)
  await fromOutside(world, () => checkAtRest(world))
  return world
}

async function confirmAll(world: World): Promise<void> {
  for (const node of world.nodes.values()) {
    for (const repository of repositoriesOf(world))
      await until(world, world.guards.confirm(node, repository), CONFIRM_LIMIT_MS)
  }
}

async function look(world: World): Promise<void> {
  await fromOutside(world, async () => {
    await checkChanged(world)
    for (const node of world.nodes.values()) if (!node.disk.isFull) checkRemembers(world, node)
  })
}

function chooser(world: World, faults: Faults): () => Promise<void> {
  const { random } = world
  const actions = createActions(world)
  const guards = isGuarded(world.topology) ? GUARDS : 0
  const attack = async () => {
    if (!world.plot.isAttacked) return
    if (random.fraction() < 0.7) forge(world)
    else await pushWhereNobodyMay(world)
  }
  const choices: readonly (readonly [number, () => Promise<void>])[] = [
    [9, actions.push],
    [3, actions.sign],
    [3, actions.promote],
    [3, actions.remove],
    [3, actions.collect],
    [3, faults.link],
    [2, faults.oneWay],
    [1, faults.partition],
    [3, faults.process],
    [3, faults.dieAtCall],
    [3, faults.loseDisk],
    [2, faults.fillDisk],
    [3, faults.moveClock],
    [world.plot.changesTopology ? CHANGES : 0, faults.changeTopology],
    [3, attack],
    [guards, actions.removeMost],
    [guards, actions.confirm],
  ]
  const total = choices.reduce((sum, [weight]) => sum + weight, 0)
  return async () => {
    let at = random.below(total)
    for (const [weight, choice] of choices) {
      if (at < weight) return choice()
      at -= weight
    }
  }
}
