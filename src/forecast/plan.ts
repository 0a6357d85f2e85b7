/** The plan of a change: what another topology would bring, cost and rest on, before anybody runs it. */
import { writersOf } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type FileTestFacts, runFileTests, type TestResult } from './file-tests.ts'
import { type Content, type ContentChange, contentChanges, type Move } from './plan-content.ts'
import { type EdgeChanges, edgeChanges } from './plan-edges.ts'
import { type Risks, risksOf } from './plan-risks.ts'
import { type Bottleneck, bottleneckOf, ratesOf, timeAt, timeToMove } from './plan-times.ts'
import { reachOf } from './reach.ts'
import { type Image, oneOfEach, waysOf } from './ways.ts'

export interface PlanOptions extends FileTestFacts {
  /** Images that are there, or that stand for what may come. */
  readonly contents: readonly Content[]
  /** Of the image whose least time is told. */
  readonly imageBytes: number
  /** When the change is made, milliseconds since the Unix epoch: calendars and windows are read from then on. */
  readonly nowMs: number
}

export interface TimedMove extends Omit<Move, 'windows'> {
  /** Milliseconds until the last byte; undefined where no rate is given. */
  readonly ms?: number
}

/** The image that takes longest to its last node. */
export interface Slowest {
  readonly repository: string
  readonly tag: string
  readonly writer: NodeName
  readonly link: Bottleneck
  /** Milliseconds, by the rates of the best and of the worst hour. */
  readonly leastMs: number
  readonly worstMs: number
}

export interface TopologyPlan {
  /** What keeps the new file from taking the place of the old one. */
  readonly problems: readonly string[]
  readonly nodes: { readonly gained: readonly NodeName[]; readonly lost: readonly NodeName[] }
  readonly edges: EdgeChanges
  readonly changes: readonly ContentChange[]
  readonly moves: readonly TimedMove[]
  readonly risks: Risks
  /** Undefined where no rate binds. */
  readonly slowest?: Slowest
  readonly tests: readonly TestResult[]
}

export function planOf(old: Topology, next: Topology, options: PlanOptions): TopologyPlan {
  const { contents, imageBytes, nowMs } = options
  const { changes, moves } = contentChanges(old, next, contents)
  const slowest = slowestOf(next, contents, { imageBytes, nowMs })
  return {
    problems: problemsOf(old, next),
    nodes: {
      gained: [...next.nodes.keys()].filter((name) => !old.nodes.has(name)),
      lost: [...old.nodes.keys()].filter((name) => !next.nodes.has(name)),
    },
    edges: edgeChanges(old, next),
    changes,
    moves: timed(next, moves, nowMs),
    risks: risksOf(next, contents),
    ...(slowest === undefined ? {} : { slowest }),
    tests: runFileTests(next, options),
  }
}

function problemsOf(old: Topology, next: Topology): readonly string[] {
  const problems: string[] = []
  if (old.realm !== next.realm) {
    problems.push(`the realm changes from ${old.realm} to ${next.realm}: it would be another mesh`)
  }
  if (old.generation >= next.generation && old.hash !== next.hash) {
    const least = old.generation + 1
    problems.push(
      `the generation is ${next.generation}; no node takes it before it is ${least} or more`,
    )
  }
  return problems
}

function timed(topology: Topology, moves: readonly Move[], nowMs: number): readonly TimedMove[] {
  const rates = ratesOf(topology, nowMs)
  return moves.map(({ from, to, bytes, windows }) => {
    const passage = {
      limit: rates.limit(from, to),
      timeZone: topology.nodes.get(to)?.timeZone ?? 'UTC',
      ...(windows === undefined ? {} : { windows }),
    }
    const ms = timeToMove(bytes, passage, nowMs)
    return { from, to, bytes, ...(ms === undefined ? {} : { ms }) }
  })
}

function slowestOf(
  topology: Topology,
  images: readonly Image[],
  { imageBytes, nowMs }: Pick<PlanOptions, 'imageBytes' | 'nowMs'>,
): Slowest | undefined {
  const rates = ratesOf(topology, nowMs)
  let slowest: Slowest | undefined
  for (const image of oneOfEach(topology, images)) {
    const ways = waysOf(topology, image)
    for (const from of writersOf(topology, image.repository)) {
      const { nodes, writer } = reachOf(topology, { ...image, from }, ways)
      if (writer === undefined) continue
      const receivers = [...nodes].flatMap(([node, { kind }]) => {
        if (kind !== 'present' || node === writer) return []
        return [{ node, senders: [...new Set(ways.to(node).map((way) => way.from))] }]
      })
      const link = bottleneckOf(rates, writer, receivers)
      if (link === undefined || (slowest !== undefined && slowest.link.best <= link.best)) continue
      const { repository, tag } = image
      const [leastMs, worstMs] = [timeAt(imageBytes, link.best), timeAt(imageBytes, link.worst)]
      slowest = { repository, tag, writer, link, leastMs, worstMs }
    }
  }
  return slowest
}
