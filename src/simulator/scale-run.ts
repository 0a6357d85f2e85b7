/** A whole mesh on simulated time: it starts, images are pushed at their writer, then nothing is pushed for a while. All of it is counted. */
import { EntrepotError } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { makeSizedImage } from './scale-image.ts'
import { createMeter } from './scale-meter.ts'
import { createScaleNode, type ScaleNode } from './scale-node.ts'
import { createRates } from './scale-rates.ts'
import { furthestRoute, joinedNodes, type Route, routeOf } from './scale-reach.ts'
import type { LevelReport, Period, PushReport, ScaleOptions, ScaleReport } from './scale-report.ts'
import { createScaleTime } from './scale-time.ts'
import { scaleTopology } from './scale-topology.ts'
import { createSeededRandom } from './seeded-random.ts'
import { createSimClock } from './sim-clock.ts'
import { createSimHub } from './sim-network.ts'

const START_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000
const START_LIMIT_MS = 10 * MINUTE_MS
/** Longer than any push over a slow link that somebody would wait for. */
const PUSH_LIMIT_MS = 30 * 24 * 60 * MINUTE_MS
/** After the start and each push: what follows is told and read, and the feeds wait again. */
const AFTERWARDS_MS = 5_000
/**
 * Links that are simulated, at most: 200 nodes that are all joined to each other take 3 GiB and two minutes. A link costs the same in
 * a larger mesh, so what more would do can be reckoned.
 */
const MAX_LINKS = 20_000

/** @throws CONFIG_INVALID where the numbers do not fit the topology, or an image reaches nobody */
export async function simulateScale(given: Topology, options: ScaleOptions): Promise<ScaleReport> {
  const scaled = scaleTopology(given, options.nodes)
  const { topology, identities, copies, repeated } = scaled
  const links = countLinks(topology)
  const clock = createSimClock(START_MS)
  const time = createScaleTime(clock)
  const random = createSeededRandom(options.seed)
  const names = new Map<PeerId, NodeName>(
    [...identities].map(([name, { peerId }]) => [peerId, name]),
  )
  const meter = createMeter((peer) => names.get(peer) as NodeName)
  const { roundTripMs, degree } = options
  const hub = createSimHub(
    { clock, random, onTraffic: meter.hear },
    { dropRate: 0, duplicateRate: 0, maxDelayMs: 0, leastDelayMs: roundTripMs / 2, degree },
  )
  const sizes = new Map<Digest, number>()
  const sent = new Map<NodeName, number>()
  const nodes = new Map<NodeName, ScaleNode>()
  const deps = {
    scaled,
    hub,
    clock,
    random,
    sizes,
    rates: createRates({ clock }, options),
    coreOf: (name: NodeName) => nodes.get(name)?.core,
    onContent: (from: NodeName, to: NodeName, bytes: number) => {
      meter.content(from, to, bytes)
      sent.set(from, (sent.get(from) ?? 0) + bytes)
    },
  }
  for (const name of topology.nodes.keys()) {
    nodes.set(name, await createScaleNode(deps, name, { roundTripMs }))
  }

  async function start(): Promise<Period> {
    const startMs = clock.now()
    const wait = outcomeOf(Promise.all([...nodes.values()].map(({ core }) => core.start())))
    await time.until(wait.isSettled, START_LIMIT_MS, 'the start')
    wait.check()
    await time.pass(AFTERWARDS_MS)
    return { ms: clock.now() - startMs, links: meter.take() }
  }

  async function push(number: number): Promise<PushReport> {
    const { repository, tag, writer, levels } = await routeFor(topology, options.image, number)
    const image = makeSizedImage(`${options.seed} ${number}`, options.imageBytes)
    for (const [digest, size] of image.blobs) sizes.set(digest, size)
    const startMs = clock.now()
    sent.clear()
    const shownMs = new Map<NodeName, number>()
    const stops = [...nodes.values()].map(({ name, events }) =>
      events.on('visible-changed', ({ digest }) => {
        if (digest !== image.manifest.digest || shownMs.has(name)) return
        shownMs.set(name, clock.now() - startMs)
      }),
    )
    const wait = outcomeOf(nodes.get(writer)?.push(repository, tag, image))
    const isShown = () => [...levels.keys()].every((name) => shownMs.has(name))
    await time.until(() => wait.hasFailed() || isShown(), PUSH_LIMIT_MS, `${repository}:${tag}`)
    wait.check()
    const ms = clock.now() - startMs
    for (const stop of stops) stop()
    await time.pass(AFTERWARDS_MS)
    return {
      repository,
      tag,
      writer,
      imageBytes: image.bytes,
      receivers: levels.size - 1,
      ms,
      sent: [...sent].map(([name, bytes]) => ({ name, bytes })),
      links: meter.take(),
      levels: levelsOf(levels, shownMs),
    }
  }

  const started = await start()
  const pushes: PushReport[] = []
  for (let number = 1; number <= options.pushes; number += 1) pushes.push(await push(number))
  const quietMs = options.quietMinutes * MINUTE_MS
  await time.pass(quietMs / 2)
  meter.take()
  await time.pass(quietMs)
  return {
    realm: topology.realm,
    nodes: nodes.size,
    repeated,
    copies,
    links,
    pushes,
    start: started,
    quiet: { ms: quietMs, links: meter.take() },
  }
}

/** Time passes only while nobody awaits: so how it went is asked for. */
function outcomeOf(promise: Promise<unknown> = Promise.resolve()) {
  let outcome: 'open' | 'done' | 'failed' = 'open'
  let cause: unknown
  promise.then(
    () => {
      outcome = 'done'
    },
    (err: unknown) => {
      outcome = 'failed'
      cause = err
    },
  )
  return {
    isSettled: () => outcome !== 'open',
    hasFailed: () => outcome === 'failed',
    check: () => {
      if (outcome === 'failed') throw cause
    },
  }
}

/** @throws CONFIG_INVALID where there are too many, with what to do instead */
function countLinks(topology: Topology): number {
  const joined = [...joinedNodes(topology).values()].map(({ size }) => size)
  const links = joined.reduce((sum, count) => sum + count, 0) / 2
  if (links <= MAX_LINKS) return links
  throw new EntrepotError(
    'CONFIG_INVALID',
    `${topology.nodes.size} nodes make ${links} links here, and at most ${MAX_LINKS} are simulated: the links of a mesh grow with the square of its members. Give fewer --nodes and reckon with what one link carries, or join the members by a tree`,
  )
}

async function routeFor(
  topology: Topology,
  image: ScaleOptions['image'],
  number: number,
): Promise<Route> {
  const route =
    image === undefined
      ? await furthestRoute(topology, number)
      : await routeOf(topology, image.repository, image.tag)
  if (route !== undefined && route.levels.size > 1) return route
  const came =
    image === undefined
      ? 'none of those that were tried does'
      : `${image.repository}:${image.tag} does not`
  throw new EntrepotError(
    'CONFIG_INVALID',
    `expected an image that reaches more than its writer, and ${came}: name one with --image REPOSITORY:TAG`,
  )
}

function levelsOf(
  levels: ReadonlyMap<NodeName, number>,
  shownMs: ReadonlyMap<NodeName, number>,
): readonly LevelReport[] {
  const times = new Map<number, number[]>()
  for (const [name, level] of levels) {
    const known = times.get(level) ?? []
    times.set(level, known)
    known.push(shownMs.get(name) ?? Number.NaN)
  }
  return [...times].map(([level, all]) => ({
    level,
    nodes: all.length,
    firstMs: Math.min(...all),
    lastMs: Math.max(...all),
  }))
}
