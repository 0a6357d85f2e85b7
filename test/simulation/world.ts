/**
 * A world: a whole mesh in one process on simulated time. Writers push and delete while links break and processes die;
 * then everything heals, and the world is asked whether it ended as the topology says.
 */
import type { Reference, RepositoryName, Tag } from '../../src/oci/name.ts'
import { merge } from '../../src/record/history.ts'
import type { SignedRecord } from '../../src/record/tag-record.ts'
import { createSeededRandom, type SeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock, type SimClock, settle } from '../../src/simulator/sim-clock.ts'
import { createSimHub, type SimHub } from '../../src/simulator/sim-network.ts'
import { createSimNode, peerOf, type SimNode } from '../../src/simulator/sim-node.ts'
import { writersOf } from '../../src/topology/origins.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../helpers/images.ts'
import { checkAtRest, checkServed } from './invariants.ts'

export interface World {
  readonly topology: Topology
  readonly nodes: ReadonlyMap<NodeName, SimNode>
  readonly hub: SimHub
  readonly clock: SimClock
  /** Records of pushes and deletes that were answered. */
  readonly acknowledged: SignedRecord[]
  readonly trace: string[]
  /** Nodes collect what nothing needs: then it may be fetched again when something does. */
  readonly collects: boolean
}

const START_MS = Date.UTC(2026, 0, 1)
/** Simulated milliseconds between a push and the collector at some node: as long as jobs take. */
const COLLECT_WITHIN_MS = 300
/** Faults and pushes. */
const STEPS = 40
/** Time in which everything must come to rest once all is whole, simulated milliseconds. */
const REST_MS = 20 * 60_000

/** Runs one seed. @throws with the trace when a promise of the mesh is broken. */
export async function runWorld(
  seed: number,
  topology: Topology,
  { trace = [], collects = false }: Partial<Pick<World, 'trace' | 'collects'>> = {},
): Promise<World> {
  const random = createSeededRandom(seed)
  const clock = createSimClock(START_MS)
  const rates = {
    dropRate: random.fraction() * 0.4,
    duplicateRate: 0.2,
    maxDelayMs: 5 + random.below(400),
  }
  const hub = createSimHub({ clock, random }, rates)
  const nodes = new Map<NodeName, SimNode>()
  const acknowledged: SignedRecord[] = []
  const world: World = { topology, nodes, hub, clock, acknowledged, trace, collects }
  const deps = { topology, hub, clock, random, nodes }
  for (const name of topology.nodes.keys()) nodes.set(name, await createSimNode(deps, name))
  // Some join late.
  for (const node of nodes.values()) if (random.fraction() < 0.8) await node.start()

  const act = createActions(world, random)
  for (let step = 0; step < STEPS; step += 1) {
    await act()
    await advance(world, random.below(20_000))
    await checkServed(world)
  }
  await heal(world)
  await rest(world)
  await checkAtRest(world)
  return world
}

/** Lets time pass, event by event. */
async function advance({ clock }: World, ms: number): Promise<void> {
  const until = clock.now() + ms
  await settle()
  while (clock.step(until)) await settle()
}

async function heal(world: World): Promise<void> {
  const names = [...world.nodes.keys()]
  for (const a of names)
    for (const b of names) if (a < b) world.hub.setLink(peerOf(a), peerOf(b), true)
  world.hub.options.dropRate = 0
  for (const node of world.nodes.values()) if (node.core === undefined) await node.start()
}

/** Until no job is open and nothing changed for a while. */
async function rest(world: World): Promise<void> {
  const until = world.clock.now() + REST_MS
  let quiet = 0
  let before = ''
  while (world.clock.now() < until && quiet < 4) {
    await advance(world, 31_000)
    const state = [...world.nodes.values()]
      .map(({ core }) => `${core?.ledger.head()} ${core?.queue.openCount()}`)
      .join()
    quiet = state === before ? quiet + 1 : 0
    before = state
  }
}

function createActions(world: World, random: SeededRandom): () => Promise<void> {
  const { topology, nodes, hub, trace, acknowledged, collects } = world
  const names = [...nodes.keys()]
  const repositories = repositoriesOf(topology)
  let images = 0
  let last: TestManifest | undefined
  let pushed: { image: TestManifest; repository: RepositoryName; writer: NodeName } | undefined

  async function push(): Promise<void> {
    const repository = random.pick(repositories)
    const writer = nodes.get(random.pick(writersOf(topology, repository)))
    if (writer?.core === undefined) return
    images += 1
    const image = makeSome()
    const tag = random.pick(['v1.0.0', 'v1.1.0', 'v1.2.0-rc1', 'latest']) as Tag
    trace.push(`push ${repository}:${tag} ${image.digest.slice(7, 15)} at ${writer.name}`)
    last = image
    pushed = { image, repository, writer: writer.name }
    await pushAt(writer, repository, tag, image)
  }

  function makeSome(): TestManifest {
    const one = makeImage(`image ${images}`, {
      layers: 1 + random.below(3),
      layerBytes: 1 + random.below(120),
      // Layers of an earlier image: they must be linked, not fetched.
      ...(last !== undefined && random.fraction() < 0.3
        ? { sharedLayers: last.blobs.slice(1) }
        : {}),
    })
    return random.fraction() < 0.3 ? makeIndex([one, makeImage(`other ${images}`)]) : one
  }

  /** The image pushed last gets another tag: its signatures must come along to where that tag goes. */
  async function promote(): Promise<void> {
    const writer = pushed && nodes.get(pushed.writer)
    if (pushed === undefined || writer?.core === undefined) return
    const tag = random.pick(['v1.0.0', 'v2.0.0']) as Tag
    trace.push(
      `promote ${pushed.image.digest.slice(7, 15)} to ${pushed.repository}:${tag} at ${writer.name}`,
    )
    await pushAt(writer, pushed.repository, tag, pushed.image)
  }

  /** A signature of the image pushed last, by digest. */
  async function signLast(): Promise<void> {
    const repository = random.fraction() < 0.7 ? pushed?.repository : random.pick(repositories)
    if (repository === undefined) return
    const writer = nodes.get(random.pick(writersOf(topology, repository)))
    if (writer?.core === undefined || last === undefined) return
    images += 1
    const subject = last.children[0] ?? last
    const signature = makeImage(`signature ${images}`, { layers: 1, subject })
    trace.push(`sign ${subject.digest.slice(7, 15)} in ${repository} at ${writer.name}`)
    await pushAt(writer, repository, signature.digest, signature)
  }

  async function pushAt(
    { core }: SimNode,
    repository: RepositoryName,
    reference: Reference,
    image: TestManifest,
  ): Promise<void> {
    if (core === undefined) return
    const store = [...nodes.values()].find((node) => node.core === core)?.disk.disk.blobs
    for (const manifest of manifestsOf(image)) {
      for (const { digest, bytes } of manifest.blobs) {
        store?.set(digest, bytes)
        await core.content.linkBlob(repository, digest)
      }
      const isRoot = manifest === image
      const { mediaType, bytes } = manifest
      const as = isRoot ? reference : manifest.digest
      await core.content.pushManifest({ repository, reference: as, mediaType, bytes })
      note(core.ledger.entry({ repository, reference: as })?.history[0])
    }
  }

  function note(signed: SignedRecord | undefined): void {
    if (signed !== undefined) acknowledged.push(signed)
  }

  async function remove(): Promise<void> {
    const repository = random.pick(repositories)
    const writer = nodes.get(random.pick(writersOf(topology, repository)))
    const tag = (await writer?.core?.content.tags(repository, { limit: 10 }))?.[0]
    if (writer?.core === undefined || tag === undefined) return
    trace.push(`delete ${repository}:${tag} at ${writer.name}`)
    await writer.core.content.deleteTag(repository, tag)
    note(writer.core.ledger.entry({ repository, reference: tag })?.history[0])
  }

  /** Without a grace, and where it hurts: jobs run, news waits, layers of an earlier image are about to be linked. */
  async function collect(): Promise<void> {
    if (!collects) return
    const repository = random.pick(repositories)
    const writer = nodes.get(random.pick(writersOf(topology, repository)))
    if (writer?.core === undefined) return
    images += 1
    const first = makeImage(`first ${images}`)
    const back = makeImage(`back ${images}`, { sharedLayers: first.blobs.slice(1) })
    trace.push(`supersede and come back to layers in ${repository} at ${writer.name}`)
    for (const image of [first, makeImage(`between ${images}`), back]) {
      await advance(world, random.below(5_000))
      // It may have died meanwhile; nobody else starts it here.
      await pushAt(writer, repository, 'v1.0.0' as Tag, image)
    }
    for (const node of nodes.values()) {
      await advance(world, random.below(COLLECT_WITHIN_MS))
      const gone: string[] = []
      await node.core?.collector.collect(({ kind, name, isDue }) => {
        if (isDue) gone.push(`${kind} ${name.slice(7, 15)}`)
      })
      if (gone.length > 0) trace.push(`collect at ${node.name}: ${gone.join(', ')}`)
    }
  }

  const actions: readonly (readonly [number, () => Promise<void>])[] = [
    [8, push],
    [3, signLast],
    [3, promote],
    [2, remove],
    [4, collect],
    [
      3,
      async () => {
        const [a, b] = [random.pick(names), random.pick(names)]
        const isUp = random.fraction() < 0.5
        trace.push(`${isUp ? 'heal' : 'cut'} ${a} - ${b}`)
        if (a !== b) hub.setLink(peerOf(a), peerOf(b), isUp)
      },
    ],
    [
      3,
      async () => {
        const node = nodes.get(random.pick(names))
        trace.push(`${node?.core ? 'crash' : 'start'} ${node?.name}`)
        if (node?.core) node.crash()
        else await node?.start()
      },
    ],
  ]
  const total = actions.reduce((sum, [weight]) => sum + weight, 0)
  return async () => {
    let at = random.below(total)
    for (const [weight, action] of actions) {
      if (at < weight) return action()
      at -= weight
    }
  }
}

/** Repositories that somebody may write, from the words of the shipped topologies. */
function repositoriesOf(topology: Topology): readonly RepositoryName[] {
  const words = ['demo/hello', 'acme/api', 'shared/base', 'team-eu/x', 'other/thing']
  return (words as RepositoryName[]).filter((name) => writersOf(topology, name).length > 0)
}

/** Whether `history` has nothing to learn from a record. */
export function knows(history: readonly SignedRecord[], signed: SignedRecord): boolean {
  return merge(history, signed).kind === 'known'
}
