/** Rest: nothing moves any more. It must come soon once all is whole. */
import { peerOf } from '../../src/simulator/sim-node.ts'
import { neighboursOf } from '../../src/topology/flow.ts'
import { advance, fromOutside, type World } from './world.ts'

/** Between two looks whether anything changed: longer than an exchange of feeds waits for news, simulated milliseconds. */
const LOOK_MS = 31_000
/** Looks without a change that count as rest: a minute of backoff has passed. */
const QUIET_LOOKS = 4
/** And with jobs that wait: what is not wanted any more, or wanted in vain, is found out at the next try, at most five minutes later. */
const QUIET_LOOKS_WITH_JOBS = 11
/** Time in which everything must come to rest once all is whole, simulated milliseconds; records of the future add theirs. */
const REST_MS = 30 * 60_000

/** Waits until every link is up, no push waits, no job runs and nothing has changed for a while. @throws when that does not come */
export async function rest(world: World): Promise<void> {
  const { clock, nodes, memory, pending } = world
  const end = () => Math.max(healedMs, memory.newestMs()) + REST_MS
  const healedMs = clock.now()
  const areOpen = () => [...nodes.values()].some(({ core }) => core?.queue.openCount() !== 0)
  const enough = () => (areOpen() ? QUIET_LOOKS_WITH_JOBS : QUIET_LOOKS)
  let quiet = 0
  let before = ''
  while (clock.now() < end() && quiet < enough()) {
    await advance(world, LOOK_MS)
    const state = [...nodes.values()]
      .map(({ core }) => `${core?.ledger.head()} ${core?.queue.openCount()}`)
      .join()
    const mayRest = pending.size === 0 && isJoined(world) && clock.now() > memory.newestMs()
    quiet = state === before && mayRest ? quiet + 1 : 0
    before = state
    // A batch that failed may be on the disk after all, with a record of the future in it.
    if (quiet >= enough()) await reread(world)
    if (clock.now() <= memory.newestMs()) quiet = 0
  }
  if (quiet < enough()) throw new Error(`no rest ${REST_MS / 60_000} minutes after all is healed`)
}

async function reread(world: World): Promise<void> {
  await fromOutside(world, async () => {
    for (const node of world.nodes.values()) await world.memory.reread(node)
  })
}

function isJoined({ topology, hub }: World): boolean {
  return [...topology.nodes.keys()].every((a) =>
    neighboursOf(topology, a).every((b) => hub.areConnected(peerOf(a), peerOf(b))),
  )
}
