/** What is said of a topology by its links alone is what its nodes do: real cores on simulated time, at rest. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pullOf } from '../../src/forecast/pulls.ts'
import { reachOf } from '../../src/forecast/reach.ts'
import { signedChanges } from '../../src/node/signed-changes.ts'
import type { RepositoryName, Tag } from '../../src/oci/name.ts'
import { createSeededRandom } from '../../src/simulator/seeded-random.ts'
import { createSimClock, settle } from '../../src/simulator/sim-clock.ts'
import { createSimHub } from '../../src/simulator/sim-network.ts'
import { createSimNode, peerOf, type SimNode } from '../../src/simulator/sim-node.ts'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'
import { makeImage, makeIndex, manifestsOf, type TestManifest } from '../helpers/images.ts'

/** Meshes of the usual run; each takes some 0.2 s of processor. */
const MESHES = Number(process.env.REACH_MESHES ?? 200)
const SEED = Number(process.env.REACH_SEED ?? 20_260_101)
const TIMEOUT_MS = 300_000
/** The simulated days begin with the night, in which windows are open. */
const START_MS = Date.UTC(2026, 0, 1)
const LOOK_MS = 31_000
/** Looks without a change that count as rest, and looks in all: a vain job tries again after at most five minutes. */
const [QUIET_LOOKS, MAX_LOOKS] = [5, 60]
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
/** As `makeIndex` counts them; no policy names the last one. */
const PLATFORMS = ['linux/amd64', 'linux/arm64', 'linux/s390x'] as const
const REPOSITORIES = ['team/x', 'shared/x']
const TAGS = ['v1', 'dev']

const match = { repos: ['**'] }
const releases = { repos: ['**'], tags: { include: ['v*'] } }
const team = { repos: ['team/**'] }
const schedule = (cron: string) => ({ cron, window: '20h', tz: 'UTC' })
const POLICIES = {
  all: { match, mode: 'eager' },
  releases: { match: releases, mode: 'eager' },
  team: { match: team, mode: 'eager' },
  amd: { match: { ...match, platforms: [PLATFORMS[0]] }, mode: 'eager' },
  arm: { match: { ...team, platforms: [PLATFORMS[1]] }, mode: 'eager' },
  nightly: { match, mode: 'scheduled', schedule: schedule('0 0 * * *') },
  never: { match: team, mode: 'scheduled', schedule: schedule('0 0 30 2 *') },
  byHand: { match: releases, mode: 'manual' },
  lazy: { match, mode: 'lazy' },
}
const CONFLICT = { tags: 'register', resolve: 'hlc-lww' }

interface Shape {
  readonly nodes: readonly string[]
  readonly writers: readonly string[]
  readonly links: readonly object[]
  readonly down: readonly string[]
}

const shapes: fc.Arbitrary<Shape> = fc.integer({ min: 3, max: NAMES.length }).chain((count) => {
  const nodes = NAMES.slice(0, count)
  const some = (minLength: number, maxLength = count) =>
    fc.shuffledSubarray(nodes, { minLength, maxLength })
  const names = Object.keys(POLICIES)
  const policies = fc.oneof(
    { weight: 3, arbitrary: fc.constant(['all']) },
    { weight: 3, arbitrary: fc.constantFrom(...names).map((name) => [name]) },
    { weight: 1, arbitrary: fc.shuffledSubarray(names, { minLength: 2, maxLength: 3 }) },
  )
  const parts = some(2).chain((ends) =>
    fc.tuple(fc.constant(ends), fc.integer({ min: 1, max: Math.min(2, ends.length - 1) })),
  )
  const link = fc.oneof(
    fc
      .tuple(parts, fc.constantFrom('out', 'in', 'both'), policies)
      .map(([[ends, at], flow, by]) => ({
        shape: 'star',
        center: ends.slice(0, at),
        leaves: ends.slice(at),
        flow,
        policies: by,
      })),
    fc.tuple(parts, policies).map(([[ends, at], by]) => ({
      from: ends.slice(0, at),
      to: ends.slice(at),
      policies: by,
    })),
    fc.tuple(parts, policies).map(([[ends, at], by]) => ({
      shape: 'tree',
      parent: ends.slice(0, at),
      children: ends.slice(at),
      policies: by,
    })),
    fc
      .tuple(some(2, Math.min(4, count)), policies)
      .map(([members, by]) => ({ shape: 'mesh', members, policies: by })),
    fc
      .tuple(some(2), fc.constantFrom('both', 'forward'), policies)
      .map(([members, direction, by]) => ({ shape: 'ring', members, direction, policies: by })),
  )
  return fc.record({
    nodes: fc.constant(nodes),
    writers: some(1, 2),
    links: fc.array(link, { minLength: 1, maxLength: 4 }),
    down: fc.oneof(fc.constant([]), some(1, 2)),
  })
})

function topologyOf({ nodes, writers, links }: Shape): Topology {
  const places = nodes.map((name) => [
    name,
    {
      endpoint: `http://${name}:5000`,
      mesh: `/dns4/${name}/tcp/4001`,
      peerId: peerOf(name as NodeName),
    },
  ])
  const file = {
    apiVersion: 'entrepot/v1',
    kind: 'Topology',
    metadata: { name: 'reach', generation: 1 },
    nodes: Object.fromEntries(places),
    origins: [
      { repos: ['shared/**'], writers, ...(writers.length > 1 ? { conflict: CONFLICT } : {}) },
      { repos: ['**'], writers: writers[0] },
    ],
    policies: POLICIES,
    links,
  }
  const { topology, findings } = readTopology(JSON.stringify(file))
  if (topology === undefined) throw new Error(`refused: ${JSON.stringify(findings)}`)
  return topology
}

interface Pushed {
  readonly writer: NodeName
  readonly repository: RepositoryName
  readonly tag: Tag
  /** An index, a platform each child. */
  readonly image: TestManifest
}

/** Every writer pushes one image a repository and tag; then nothing moves any more. */
async function runMesh(shape: Shape, topology: Topology) {
  const clock = createSimClock(START_MS)
  const random = createSeededRandom('reach')
  const hub = createSimHub({ clock, random }, { dropRate: 0, duplicateRate: 0, maxDelayMs: 20 })
  const nodes = new Map<NodeName, SimNode>()
  for (const name of topology.nodes.keys()) {
    nodes.set(name, await createSimNode({ topology, hub, clock, random, nodes }, name))
  }
  const living = [...nodes.values()].filter(({ name }) => !shape.down.includes(name))
  const advance = async (ms: number, isOver = () => false) => {
    const until = clock.now() + ms
    void clock.sleep(ms)
    await settle()
    while (!isOver() && clock.step(until)) await settle()
  }
  for (const node of living) {
    void node.start()
    await advance(1_000)
  }
  await advance(LOOK_MS)

  const pushes: Pushed[] = []
  for (const writer of living) {
    if (!shape.writers.includes(writer.name)) continue
    for (const name of REPOSITORIES) {
      const repository = name as RepositoryName
      const origin = topology.origins.find((one) => one.matches(repository))
      if (origin?.writers.includes(writer.name) !== true) continue
      for (const word of TAGS) {
        const tag = `${word}-${writer.name}` as Tag
        const image = makeIndex(
          PLATFORMS.map((platform) => makeImage(`${repository} ${tag} ${platform}`)),
        )
        pushes.push({ writer: writer.name, repository, tag, image })
        let isOver = false
        const done = pushAt(writer, repository, tag, image).finally(() => {
          isOver = true
        })
        done.catch(() => {})
        await advance(10 * LOOK_MS, () => isOver)
        if (!isOver) throw new Error(`${repository}:${tag} was not pushed in time`)
        await done
      }
    }
  }
  let quiet = 0
  let before = ''
  for (let look = 0; look < MAX_LOOKS && quiet < QUIET_LOOKS; look += 1) {
    await advance(LOOK_MS)
    const state = living.map(({ core }) => core?.ledger.head()).join()
    quiet = state === before ? quiet + 1 : 0
    before = state
  }
  if (quiet < QUIET_LOOKS) throw new Error('no rest')
  const end = () => {
    for (const node of living) node.crash()
  }
  /** What a client gets that asks the node for the tag. */
  const askAt = async ({ core }: SimNode, { repository, tag }: Pushed) => {
    let isOver = false
    const asked = core?.onRequest?.manifest(repository, tag).finally(() => {
      isOver = true
    })
    await advance(10 * LOOK_MS, () => isOver || asked === undefined)
    return (await asked) ?? core?.content.readManifest(repository, tag)
  }
  return { living, pushes, end, askAt }
}

async function pushAt(
  { core, process }: SimNode,
  repository: RepositoryName,
  tag: Tag,
  image: TestManifest,
): Promise<void> {
  if (core === undefined || process === undefined) throw new Error('the writer runs')
  for (const manifest of manifestsOf(image)) {
    for (const { digest, bytes } of manifest.blobs) {
      await process.blobs.put(digest, bytes)
      await core.content.linkBlob(repository, digest)
    }
    const { mediaType, bytes, digest } = manifest
    const reference = manifest === image ? tag : digest
    const changes = signedChanges(core.content, core.readBack)
    await changes.pushManifest({ repository, reference, mediaType, bytes })
  }
}

/** `node repository:tag platforms`: what is shown, and of which platforms the bytes are there. */
function shownAt(node: SimNode, { repository, tag, image }: Pushed): string {
  const entry = node.core?.ledger.entry({ repository, reference: tag })
  const isShown = entry?.held?.digest === image.digest
  const parts = PLATFORMS.filter((_, at) => {
    const blobs = image.children[at]?.blobs ?? []
    return isShown && blobs.every(({ digest }) => node.disk.disk.blobs.has(digest))
  })
  return `${node.name} ${repository}:${tag} ${isShown ? ['shown', ...parts].join(' ') : 'not shown'}`
}

/** Undefined: a part of it comes when it is asked for, so it is there or not by what others asked. */
function saidOf(
  topology: Topology,
  node: NodeName,
  { writer, repository, tag }: Pushed,
  down: readonly NodeName[],
): string | undefined {
  const question = { from: writer, repository, tag, down }
  const kindOf = (platform?: string) => {
    const asked = platform === undefined ? question : { ...question, platform }
    return reachOf(topology, asked).nodes.get(node)?.kind
  }
  if ([undefined, ...PLATFORMS].some((one) => kindOf(one) === 'available')) return undefined
  const isThere = (platform?: string) => kindOf(platform) === 'present'
  const isShown = isThere()
  const parts = PLATFORMS.filter((platform) => isShown && isThere(platform))
  return `${node} ${repository}:${tag} ${isShown ? ['shown', ...parts].join(' ') : 'not shown'}`
}

test(
  `in ${MESHES} random meshes each node holds exactly what the topology says by itself`,
  async () => {
    const met = new Set<string>()
    await fc.assert(
      fc.asyncProperty(shapes, async (shape) => {
        const topology = topologyOf(shape)
        const down = shape.down as NodeName[]
        const { living, pushes, end, askAt } = await runMesh(shape, topology)
        const [shown, said]: string[][] = [[], []]
        for (const pushed of pushes) {
          for (const node of living) {
            const expected = saidOf(topology, node.name, pushed, down)
            if (expected === undefined) continue
            shown?.push(shownAt(node, pushed))
            said?.push(expected)
          }
          const { nodes } = reachOf(topology, { ...pushed, from: pushed.writer, down })
          for (const { kind, reason } of nodes.values()) met.add(reason ?? kind)
        }
        // Before anybody asks for anything: that brings it.
        expect(shown).toEqual(said)
        for (const pushed of pushes) {
          const { nodes } = reachOf(topology, { ...pushed, from: pushed.writer, down })
          for (const node of living) {
            if (nodes.get(node.name)?.kind !== 'available') continue
            expect((await askAt(node, pushed))?.digest).toBe(pushed.image.digest)
          }
        }
        end()
      }),
      {
        numRuns: MESHES,
        seed: SEED,
        interruptAfterTimeLimit: TIMEOUT_MS - 30_000,
        markInterruptAsFailure: true,
      },
    )
    // Some of these are seldom: a short run need not meet them.
    if (MESHES < 200) return
    expect([...met].sort()).toEqual([
      'available',
      'down',
      'manual',
      'no-news',
      'no-source',
      'no-window',
      'present',
    ])
  },
  TIMEOUT_MS,
)

test('what a pull gets while nodes are down is local exactly where the image was before', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const topology = topologyOf(shape)
      const down = shape.down as NodeName[]
      const writer = (shape.writers[0] ?? 'a') as NodeName
      const image = { repository: 'team/x' as RepositoryName, tag: 'v1' as Tag }
      const before = reachOf(topology, { ...image, from: writer }).nodes
      for (const [node, { kind }] of before) {
        const pull = pullOf(topology, { ...image, node, writer, down })
        expect(pull.kind === 'local').toBe(kind === 'present' && !down.includes(node))
      }
    }),
    { numRuns: MESHES },
  )
})
