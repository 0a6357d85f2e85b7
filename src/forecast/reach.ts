/**
 * Reach: what becomes of an image at each node when it is pushed at one of them, by the topology alone. What holds here
 * must hold in the running mesh: the in-file tests are judged by it.
 */
import type { Demand } from '../topology/demand.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { pushEnd } from './pushes.ts'
import { type Spread, spreadOf } from './spread.ts'
import { type Measure, platformsIn, type Take, takeOf, takerOf, toldOf } from './takers.ts'
import { type Image, type Ways, waysOf } from './ways.ts'

export interface Question extends Image {
  /** Where it is pushed. A node that is no writer may hand it to one, as `origins` say. */
  readonly from: NodeName
  /** Of an index, the image of this platform. Without it: an index of all platforms, each node as far as it takes them. */
  readonly platform?: string
  /** They neither pass on nor serve, from before the push. */
  readonly down?: readonly NodeName[]
}

export type AbsentReason =
  | 'down'
  /** Nobody tells it. */
  | 'no-news'
  /** It knows, and does not take this platform. */
  | 'no-platform'
  /** It knows and wants it, and the time for it never comes. */
  | 'no-window'
  /** It knows and wants it, and nobody who tells it has the bytes. */
  | 'no-source'

/** Bytes on disk by themselves; served on request; on disk at a person's word, here or on the way; neither. */
export type Kind = 'present' | 'available' | 'manual' | 'absent'

export interface Reach {
  readonly kind: Kind
  /** With `absent`. */
  readonly reason?: AbsentReason
  /** From the writer to the node, both included; of the news where the bytes do not come; empty where neither does. */
  readonly path: readonly NodeName[]
  /** Milliseconds after the push at worst; for what is served on request until it can be asked for. Undefined: not known. */
  readonly latestMs?: number
  /** What the node does with the image; undefined: no policy of a link to it says anything. */
  readonly demand?: Demand
}

export interface Reaches {
  /** Where the push was accepted; undefined: nowhere. */
  readonly writer: NodeName | undefined
  readonly ways: Ways
  /** In the order of the file. */
  readonly nodes: ReadonlyMap<NodeName, Reach>
}

export function reachOf(
  topology: Topology,
  question: Question,
  ways: Ways = waysOf(topology, question),
): Reaches {
  const course = courseOf(topology, question, ways)
  const byTime = course?.spread('time')
  const reaches = [...topology.nodes.keys()].map((node) => [node, reachAt(node)] as const)
  return { writer: course?.writer, ways, nodes: new Map(reaches) }

  function reachAt(node: NodeName): Reach {
    if (course === undefined || byTime === undefined) {
      const isDown = question.down?.includes(node) === true
      return { kind: 'absent', reason: isDown ? 'down' : 'no-news', path: [] }
    }
    const demand = ways.demand(node)
    const known = demand === undefined ? {} : { demand }
    const end = course.at(node)
    if (end.kind === 'absent') return { ...end, path: course.news(node), ...known }
    if (node === course.writer) return { kind: end.kind, path: [node], latestMs: 0, ...known }
    const latestMs = latestOf(byTime, node, end.parts)
    const time = end.kind === 'manual' || latestMs === undefined ? {} : { latestMs }
    return { kind: end.kind, path: pathOf(end.spread, node, end.parts), ...time, ...known }
  }
}

/** Of each node what it is alone: where many questions are asked, ways and times are what costs. */
export function kindsOf(
  topology: Topology,
  question: Question,
  ways: Ways,
): ReadonlyMap<NodeName, Kind> {
  const course = courseOf(topology, question, ways)
  const kinds = [...topology.nodes.keys()].map(
    (node) => [node, course?.at(node).kind ?? 'absent'] as const,
  )
  return new Map(kinds)
}

type End =
  | { readonly kind: 'absent'; readonly reason: AbsentReason }
  | {
      readonly kind: Exclude<Kind, 'absent'>
      /** Platforms that it has there, or may have. */
      readonly parts: readonly string[]
      readonly spread: Spread
    }

/** What one push brings about. */
interface Course {
  readonly writer: NodeName
  at(node: NodeName): End
  spread(measure: Measure): Spread
  /** From the writer to the node, by whom it heard of it. */
  news(node: NodeName): readonly NodeName[]
}

/** Undefined: no node takes the push. */
function courseOf(topology: Topology, question: Question, ways: Ways): Course | undefined {
  const { platform, repository, from: pusher } = question
  const down = new Set(question.down)
  const isUp = (node: NodeName) => !down.has(node)
  const end = pushEnd(topology, pusher, repository, down)
  const writer = isUp(pusher) && end.kind !== 'rejected' ? end.at : undefined
  if (writer === undefined) return undefined

  const platforms = platformsIn(topology, platform)
  const told = toldOf(ways, { writer, isUp })
  const takes = new Map<NodeName, Take>()
  const sendersTo = new Map<NodeName, readonly NodeName[]>()
  for (const node of told.keys()) {
    if (node === writer) continue
    takes.set(node, takeOf(topology, node, ways.demand(node), platforms))
    const open = ways.to(node).filter(({ from, isShut }) => isUp(from) && !isShut)
    sendersTo.set(node, [...new Set(open.map(({ from }) => from))])
  }
  const run = (measure: Measure, withWords = false): Spread => {
    const stock = new Map(platforms.map((one) => [one, { cost: 0 }]))
    const takers = [...takes].map(([node, take]) =>
      takerOf(node, take, sendersTo.get(node) ?? [], { measure, withWords }),
    )
    return spreadOf(new Map([[writer, stock]]), takers)
  }
  const byLinks = run('links')
  const hasWords = [...takes.values()].some(({ onWord }) => onWord.length > 0)
  const byWord = hasWords ? run('links', true) : byLinks
  const needed = (parts: readonly string[]) =>
    platform === undefined ? parts : parts.includes(platform) ? [platform] : []

  return {
    writer,
    at: (node) => {
      if (node === writer) return { kind: 'present', parts: needed(platforms), spread: byLinks }
      const take = takes.get(node)
      if (take === undefined) return { kind: 'absent', reason: isUp(node) ? 'no-news' : 'down' }
      const { held, onRequest, onWord } = take
      for (const [kind, parts, spread] of [
        ['present', needed(held), byLinks],
        ['available', needed(onRequest), byLinks],
        ['manual', needed([...held, ...onRequest, ...onWord]), byWord],
      ] as const) {
        // What it holds without being asked decides where no platform is named.
        if (kind === 'available' && platform === undefined && held.length > 0) continue
        if (areServed(spread, node, parts)) return { kind, parts, spread }
      }
      const wanted = needed([...held, ...onRequest, ...onWord])
      const reason = wanted.length > 0 ? 'no-source' : take.isNever ? 'no-window' : 'no-platform'
      return { kind: 'absent', reason }
    },
    spread: (measure) => (measure === 'links' ? byLinks : run(measure)),
    news: (node) => {
      const path: NodeName[] = []
      const last = told.has(node) ? node : undefined
      for (let at: NodeName | undefined = last; at !== undefined; at = told.get(at)) path.push(at)
      return path.reverse()
    },
  }
}

function areServed(spread: Spread, node: NodeName, parts: readonly string[]): boolean {
  return parts.length > 0 && parts.every((part) => spread.get(node)?.has(part) === true)
}

/** Of the part that comes along the most links. */
function pathOf(spread: Spread, node: NodeName, parts: readonly string[]): readonly NodeName[] {
  const costOf = (part: string) => spread.get(node)?.get(part)?.cost ?? 0
  const [last = ''] = [...parts].sort((a, b) => costOf(b) - costOf(a))
  const path: NodeName[] = []
  for (let at: NodeName | undefined = node; at !== undefined; ) {
    path.push(at)
    at = spread.get(at)?.get(last)?.from
  }
  return path.reverse()
}

function latestOf(spread: Spread, node: NodeName, parts: readonly string[]): number | undefined {
  const times = parts.map((part) => spread.get(node)?.get(part)?.cost ?? Number.POSITIVE_INFINITY)
  const last = Math.max(...times)
  return last === Number.POSITIVE_INFINITY ? undefined : last
}
