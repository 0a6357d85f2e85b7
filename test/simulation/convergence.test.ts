/** That a mesh has converged is said only when it is so, whenever it is asked, and is said at rest: real nodes on simulated time. */
import { expect, test } from 'vitest'
import type { ConvergenceView } from '../../src/admin/convergence-view.ts'
import { isProven, judgeRound, type Round } from '../../src/cli/convergence-verdict.ts'
import type { Answer } from '../../src/cli/mesh-nodes.ts'
import { createConvergence } from '../../src/node/convergence.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../src/simulator/sim-network.ts'
import { createSimNode, peerOf, type SimNode } from '../../src/simulator/sim-node.ts'
import { neighboursOf } from '../../src/topology/flow.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { fillTopology } from '../../src/topology/topology-fill.ts'
import { makeImage } from '../helpers/images.ts'

/** A chain with a filter at its end, and a shortcut beside it. */
const TEXT = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: looks, generation: 1 }
nodes: { hub: {}, eu: {}, us: {}, shop: {} }
origins: [{ repos: ["**"], writers: hub }]
policies:
  all: { match: { repos: ["**"] }, mode: eager }
  releases: { match: { repos: ["**"], tags: { include: ["v*"] } }, mode: eager }
links:
  - { shape: star, center: hub, leaves: [eu, us], policies: [all] }
  - { shape: star, center: eu, leaves: shop, policies: [releases] }
`
const NAMES = ['hub', 'eu', 'us', 'shop'] as NodeName[]
const REPO = 'app' as RepositoryName
const TAGS = ['v1', 'v2', 'dev', 'test'] as Tag[]
const SEEDS = 24
const STEPS = 60

function topologyOf(): Topology {
  const addresses = new Map(
    NAMES.map((name) => [
      name,
      { endpoint: `http://${name}:5000`, mesh: `/dns4/${name}/tcp/4001`, peerId: peerOf(name) },
    ]),
  )
  const { topology } = readTopology(fillTopology(TEXT, addresses))
  if (topology === undefined) throw new Error('the topology is right')
  return topology
}

async function openWorld(seed: number) {
  const topology = topologyOf()
  const clock = createSimClock(Date.UTC(2026, 0, 1))
  const random = createSeededRandom(`looks ${seed}`)
  const hub = createSimHub({ clock, random }, { dropRate: 0.3, duplicateRate: 0, maxDelayMs: 30 })
  const nodes = new Map<NodeName, SimNode>()
  for (const name of NAMES) {
    nodes.set(name, await createSimNode({ topology, hub, clock, random, nodes }, name))
  }
  const advance = async (ms: number) => {
    const until = clock.now() + ms
    let isOver = false
    void clock.sleep(ms).then(() => {
      isOver = true
    })
    await settle()
    while (!isOver && clock.step(until)) await settle()
  }

  async function ask(node: SimNode): Promise<Answer<ConvergenceView>> {
    const { core, name } = node
    if (core === undefined) return { kind: 'unreached', node: name, reason: 'down' }
    const list = () =>
      neighboursOf(topology, name).map((other) => {
        const isUp = hub.areConnected(peerOf(name), peerOf(other))
        return { name: other, state: isUp ? ('up' as const) : ('down' as const), sinceMs: 0 }
      })
    const convergence = createConvergence({
      ...core,
      topology,
      self: name,
      neighbours: { list },
      lag: async () => [],
      clock,
    })
    return { kind: 'reached', node: name, view: await convergence() }
  }

  /** Each node at another moment and in any order, as over a network; others go on pushing meanwhile, or do not. */
  async function look(pushRate: number): Promise<Round> {
    const answers = new Map<NodeName, Answer<ConvergenceView>>()
    const isBackwards = random.fraction() < 0.5
    for (const node of isBackwards ? [...nodes.values()].reverse() : nodes.values()) {
      answers.set(node.name, await ask(node))
      if (random.fraction() < pushRate) {
        const tag = TAGS[Math.floor(random.fraction() * TAGS.length)] ?? 'v1'
        await push(tag as Tag, `pushed at ${clock.now()}`).catch(() => {})
      }
      await advance(Math.floor(random.fraction() * 25))
    }
    return judgeRound(NAMES.flatMap((name) => answers.get(name) ?? []))
  }

  /** What each node that runs serves, by tag. */
  function served(): ReadonlyMap<NodeName, readonly (string | undefined)[]> {
    const running = [...nodes.values()].filter(({ core }) => core !== undefined)
    const of = ({ core }: SimNode) =>
      TAGS.map((reference) => core?.ledger.entry({ repository: REPO, reference })?.held?.digest)
    return new Map(running.map((node) => [node.name, of(node)]))
  }

  /** Not waited for: it goes on while others look. */
  async function push(tag: Tag, name: string): Promise<void> {
    const { core, process } = nodes.get('hub' as NodeName) ?? {}
    const image = makeImage(name)
    for (const { digest, bytes } of image.blobs) {
      await process?.blobs.put(digest, bytes)
      await core?.content.linkBlob(REPO, digest)
    }
    const { mediaType, bytes } = image
    await core?.content.pushManifest({ repository: REPO, reference: tag, mediaType, bytes })
  }

  return { topology, clock, random, hub, nodes, advance, look, served, push }
}

/** What the topology says each must serve when the hub serves this. */
function expected(atHub: readonly (string | undefined)[], name: NodeName) {
  return atHub.map((digest, at) =>
    name === 'shop' && TAGS[at]?.startsWith('v') !== true ? undefined : digest,
  )
}

test('two looks that prove it are never wrong, and at rest they prove it', async () => {
  let proofs = 0
  let doubts = 0
  let arrived = 0
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const world = await openWorld(seed)
    const { random, nodes, hub, advance, look, served, push } = world
    const pick = <T>(from: readonly T[]): T =>
      from[Math.floor(random.fraction() * from.length)] as T
    for (const node of nodes.values()) void node.start()
    await advance(3_000)
    let before: { readonly round: Round; readonly served: ReturnType<typeof served> } | undefined
    for (let step = 0; step < STEPS; step += 1) {
      const chance = random.fraction()
      if (chance < 0.25) void push(pick(TAGS), `seed ${seed} step ${step}`).catch(() => {})
      else if (chance < 0.32) {
        const [a, b] = pick([
          ['hub', 'eu'],
          ['hub', 'us'],
          ['eu', 'shop'],
        ] as const)
        hub.setLink(peerOf(a as NodeName), peerOf(b as NodeName), random.fraction() < 0.6)
      } else if (chance < 0.36) {
        const node = nodes.get(pick(['eu', 'shop'] as NodeName[]))
        if (node?.process === undefined) void node?.start().catch(() => {})
        else node.crash()
      }
      await advance(pick([0, 5, 40, 400, 3_000]))
      const round = await look(0.05)
      if (before !== undefined && isProven(before.round, round)) {
        proofs += 1
        const atHub = before.served.get('hub' as NodeName) ?? []
        for (const [name, tags] of before.served) {
          expect(tags, `seed ${seed} step ${step}: ${name}`).toEqual(expected(atHub, name))
        }
      } else doubts += 1
      // Between the two looks: the moment that the proof is about.
      before = { round, served: served() }
    }
    for (const [a, b] of [
      ['hub', 'eu'],
      ['hub', 'us'],
      ['eu', 'shop'],
    ] as const) {
      hub.setLink(peerOf(a as NodeName), peerOf(b as NodeName), true)
    }
    for (const node of nodes.values()) if (node.process === undefined) void node.start()
    // A transfer that was cut in vain again and again is tried once a minute.
    await advance(600_000)
    const [first, second] = [await look(0), await look(0)]
    arrived +=
      served()
        .get('shop' as NodeName)
        ?.filter((digest) => digest !== undefined).length ?? 0
    expect(isProven(first, second), `seed ${seed}: ${JSON.stringify([...second.problems])}`).toBe(
      true,
    )
  }
  // Otherwise nothing was shown.
  expect(proofs).toBeGreaterThan(SEEDS)
  expect(doubts).toBeGreaterThan(SEEDS)
  expect(arrived).toBeGreaterThan(SEEDS)
}, 120_000)
