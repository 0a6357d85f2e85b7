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

export interface Reach {
  /** Bytes on disk by themselves; served on request; on disk at a person's word, here or on the way; neither. */
  readonly kind: 'present' | 'available' | 'manual' | 'absent'
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
  const down = new Set(question.down)
  const isUp = (node: NodeName) => !down.has(node)
  const end = pushEnd(topology, question.from, question.repository, down)
  const accepted = end.kind === 'rejected' ? undefined : end.at
  const writer = isUp(question.from) ? accepted : undefined
  const nodes = new Map<NodeName, Reach>()
  if (writer === undefined) {
    for (const node of topology.nodes.keys()) {
      nodes.set(node, { kind: 'absent', reason: isUp(node) ? 'no-news' : 'down', path: [] })
    }
    return { writer, ways, nodes }
  }

  const { platform } = question
  const platforms = platformsIn(topology, platform)
  const told = toldOf(topology, ways, { writer, isUp, platforms })
  const takes = new Map<NodeName, Take>()
  for (const node of told.keys()) {
    if (node !== writer) takes.set(node, takeOf(topology, node, ways.demand(node), platforms))
  }
  const run = (measure: Measure, withWords = false): Spread => {
    const stock = new Map(platforms.map((one) => [one, { cost: 0 }]))
    const takers = [...takes].map(([node, take]) => {
      const open = ways.to(node).filter(({ from, isShut }) => isUp(from) && !isShut)
      const senders = [...new Set(open.map(({ from }) => from))]
      return takerOf(node, take, senders, { measure, withWords })
    })
    return spreadOf(new Map([[writer, stock]]), takers)
  }
  const [byLinks, byTime] = [run('links'), run('time')]
  const hasWords = [...takes.values()].some(({ onWord }) => onWord.length > 0)
  const byWord = hasWords ? run('links', true) : byLinks

  for (const node of topology.nodes.keys()) nodes.set(node, reachAt(node))
  return { writer, ways, nodes }

  function reachAt(node: NodeName): Reach {
    const demand = ways.demand(node)
    const known = demand === undefined ? {} : { demand }
    if (node === writer) return { kind: 'present', path: [node], latestMs: 0, ...known }
    const take = takes.get(node)
    if (take === undefined) {
      return { kind: 'absent', reason: isUp(node) ? 'no-news' : 'down', path: [], ...known }
    }
    const { held, onRequest, onWord } = take
    const needed = (parts: readonly string[]) =>
      platform === undefined ? parts : parts.includes(platform) ? [platform] : []
    for (const [kind, parts, spread] of [
      ['present', needed(held), byLinks],
      ['available', needed(onRequest), byLinks],
      ['manual', needed([...held, ...onRequest, ...onWord]), byWord],
    ] as const) {
      // What it holds without being asked decides where no platform is named.
      if (kind === 'available' && platform === undefined && held.length > 0) continue
      if (!areServed(spread, node, parts)) continue
      const path = pathOf(spread, node, parts)
      const latestMs = latestOf(byTime, node, parts)
      const time = kind === 'manual' || latestMs === undefined ? {} : { latestMs }
      return { kind, path, ...time, ...known }
    }
    const wanted = needed([...held, ...onRequest, ...onWord])
    const reason = wanted.length > 0 ? 'no-source' : take.isNever ? 'no-window' : 'no-platform'
    const path: NodeName[] = []
    for (let at: NodeName | undefined = node; at !== undefined; at = told.get(at)) path.unshift(at)
    return { kind: 'absent', reason, path, ...known }
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
    path.unshift(at)
    at = spread.get(at)?.get(last)?.from
  }
  return path
}

function latestOf(spread: Spread, node: NodeName, parts: readonly string[]): number | undefined {
  const times = parts.map((part) => spread.get(node)?.get(part)?.cost ?? Number.POSITIVE_INFINITY)
  const last = Math.max(...times)
  return last === Number.POSITIVE_INFINITY ? undefined : last
}
