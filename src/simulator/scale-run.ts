/** A whole mesh on simulated time: it starts, images are pushed at their writer, then nothing is pushed for a while. All of it is counted. */
import { EntrepotError } from '../lib/errors.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { PeerId } from '../record/peer-id.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { makeSizedImage } from './scale-image.ts'
import { createMeter, type LinkCounts } from './scale-meter.ts'
import { createScaleNode, type ScaleNode } from './scale-node.ts'
import { createRates } from './scale-rates.ts'
import { furthestRoute, type Route, routeOf } from './scale-reach.ts'
import { scaleTopology } from './scale-topology.ts'
import { createSeededRandom } from './seeded-random.ts'
import { createSimClock, settle } from './sim-clock.ts'
import { createSimHub } from './sim-network.ts'

export interface ScaleOptions {
  readonly nodes: number
  /** Bytes of the layers of one image. */
  readonly imageBytes: number
  readonly pushes: number
  readonly seed: number
  /** Of a link, each way, and of all that one node sends; bytes a second. */
  readonly linkRate: number
  readonly nodeRate: number
  readonly roundTripMs: number
  /** How long nothing is pushed, minutes. */
  readonly quietMinutes: number
  /** Members of a topic to whom one passes on what it heard there. */
  readonly degree: number
  /** What is pushed; the image that reaches most nodes where it is not given. */
  readonly image?: { readonly repository: RepositoryName; readonly tag: Tag }
}

export interface ScaleReport {
  readonly realm: string
  readonly nodes: number
  readonly repeated: readonly NodeName[]
  readonly copies: readonly NodeName[]
  /** Links between two nodes. */
  readonly links: number
  readonly start: Period
  readonly pushes: readonly PushReport[]
  readonly quiet: Period
}

/** What went over the links in a time, milliseconds. */
export interface Period {
  readonly ms: number
  readonly links: readonly LinkCounts[]
}

/** From the push until it is shown wherever it belongs. */
export interface PushReport extends Period, Omit<Route, 'levels'> {
  /** Of the manifest and its blobs, bytes. */
  readonly imageBytes: number
  /** Nodes that fetched it: all that it reaches but its writer. */
  readonly receivers: number
  /** When the tag was shown at the first and the last node so many steps from the writer, milliseconds since the push. */
  readonly levels: readonly LevelReport[]
}

export interface LevelReport {
  readonly level: number
  readonly nodes: number
  readonly firstMs: number
  readonly lastMs: number
}

const START_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000
/** After the start and each push: what follows is told and read, and the feeds wait again. */
const AFTERWARDS_MS = 5_000
/** The audits after a start are over by then, milliseconds (SOON_MS of the auditor, twice). */
const AUDITED_MS = 2 * MINUTE_MS
/** Longer than any push of a reasonable image over a slow link: then something is wrong. */
const PUSH_LIMIT_MS = 30 * 24 * 60 * MINUTE_MS
const START_LIMIT_MS = 10 * MINUTE_MS

/** @throws CONFIG_INVALID where the numbers do not fit the topology, or an image reaches nobody */
export async function simulateScale(
  topology: Topology,
  options: ScaleOptions,
): Promise<ScaleReport> {
  const scaled = scaleTopology(topology, options.nodes)
  const random = createSeededRandom(options.seed)
  const clock = createSimClock(START_MS)
  const names = new Map<PeerId, NodeName>(
    [...scaled.identities].map(([name, { peerId }]) => [peerId, name]),
  )
  const meter = createMeter((peer) => names.get(peer) as NodeName)
  const { roundTripMs, degree } = options
  const hub = createSimHub(
    { clock, random, onTraffic: meter.hear },
    { dropRate: 0, duplicateRate: 0, maxDelayMs: 0, leastDelayMs: roundTripMs / 2, degree },
  )
  const sizes = new Map()
  const nodes = new Map<NodeName, ScaleNode>()
  const deps = {
    ...{ scaled, hub, clock, random, sizes, onContent: meter.content },
    coreOf: (name: NodeName) => nodes.get(name)?.core,
    rates: createRates({ clock }, options),
  }
  for (const name of scaled.topology.nodes.keys()) {
    nodes.set(name, await createScaleNode(deps, name, { roundTripMs }))
  }

  /** @throws when it is not so in time */
  async function until(isDone: () => boolean, limitMs: number, what: string): Promise<void> {
    const end = clock.now() + limitMs
    await settle()
    while (!isDone()) {
      if (!clock.step(end))
        throw new EntrepotError('SIMULATION_STUCK', `${what}: not within ${limitMs} ms`)
      // Whoever waits for the same moment goes on together.
      while (clock.step(clock.now()));
      await settle()
    }
  }

  async function pass(ms: number): Promise<void> {
    let isOver = false
    void clock.sleep(ms).then(() => {
      isOver = true
    })
    await until(() => isOver, ms, 'time passes')
  }

  async function period(run: () => Promise<void>): Promise<Period> {
    const startMs = clock.now()
    await run()
    return { ms: clock.now() - startMs, links: meter.take() }
  }

  async function push(number: number): Promise<PushReport> {
    const route = await routeFor(scaled.topology, options.image, number)
    const { repository, tag, writer, levels } = route
    const image = makeSizedImage(`${options.seed} ${number}`, options.imageBytes)
    for (const [digest, size] of image.blobs) sizes.set(digest, size)
    const startMs = clock.now()
    const shownMs = new Map<NodeName, number>()
    const stops = [...nodes.values()].map(({ name, events }) =>
      events.on('visible-changed', ({ digest }) => {
        if (digest === image.manifest.digest && !shownMs.has(name)) {
          shownMs.set(name, clock.now() - startMs)
        }
      }),
    )
    const counted = await period(async () => {
      let failure: unknown
      nodes
        .get(writer)
        ?.push(repository, tag, image)
        .catch((err: unknown) => {
          failure = err
        })
      const isDone = () =>
        failure !== undefined || [...levels.keys()].every((name) => shownMs.has(name))
      await until(isDone, PUSH_LIMIT_MS, `the push of ${repository}:${tag}`)
      if (failure !== undefined) throw failure
    })
    for (const stop of stops) stop()
    await pass(AFTERWARDS_MS)
    const after = meter.take()
    return {
      ...{ repository, tag, writer, imageBytes: image.bytes, receivers: levels.size - 1 },
      ms: counted.ms,
      links: [...counted.links, ...after],
      levels: levelsOf(levels, shownMs),
    }
  }

  const start = await period(async () => {
    const started = Promise.all([...nodes.values()].map(({ core }) => core.start()))
    let isStarted = false
    void started.then(() => {
      isStarted = true
    })
    await until(() => isStarted, START_LIMIT_MS, 'the start')
    await pass(AFTERWARDS_MS)
  })
  const pushes: PushReport[] = []
  for (let number = 1; number <= options.pushes; number += 1) pushes.push(await push(number))
  await pass(AUDITED_MS)
  meter.take()
  const quiet = await period(() => pass(options.quietMinutes * MINUTE_MS))
  const links = start.links.length
  const { copies, repeated } = scaled
  return { realm: topology.realm, nodes: nodes.size, repeated, copies, links, start, pushes, quiet }
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
  const what = image === undefined ? 'no image that was tried' : `${image.repository}:${image.tag}`
  throw new EntrepotError(
    'CONFIG_INVALID',
    `${what} reaches a node beside its writer; name one that does with --image REPOSITORY:TAG`,
  )
}

function levelsOf(
  levels: ReadonlyMap<NodeName, number>,
  shownMs: ReadonlyMap<NodeName, number>,
): readonly LevelReport[] {
  const times = new Map<number, number[]>()
  for (const [name, level] of levels) {
    times.set(level, [...(times.get(level) ?? []), shownMs.get(name) ?? Number.NaN])
  }
  return [...times].map(([level, all]) => ({
    level,
    nodes: all.length,
    firstMs: Math.min(...all),
    lastMs: Math.max(...all),
  }))
}
