/** Pulls: what a client gets at a node while others are down, of an image that was everywhere it goes by itself before. */
import type { NodeName, Topology } from '../topology/topology.ts'
import { reachOf } from './reach.ts'
import { type Arrival, spreadOf } from './spread.ts'
import { platformsIn, takeOf, takerOf } from './takers.ts'
import { type Image, type Ways, waysOf } from './ways.ts'

export interface PullQuestion extends Image {
  readonly node: NodeName
  /** The writer at which it was pushed, before anything went down. */
  readonly writer: NodeName
  readonly down: readonly NodeName[]
}

export interface PullAnswer {
  /** From its own disk; from another node, at once; not at all. */
  readonly kind: 'local' | 'fetched' | 'absent'
  /** From who has it to the node, both included; empty where nobody can serve it. */
  readonly path: readonly NodeName[]
}

export function pullOf(
  topology: Topology,
  { node, writer, down, repository, tag }: PullQuestion,
  ways: Ways = waysOf(topology, { repository, tag }),
): PullAnswer {
  const isDown = new Set(down)
  const nobody: PullAnswer = { kind: 'absent', path: [] }
  if (isDown.has(node)) return nobody
  const before = reachOf(topology, { from: writer, repository, tag }, ways)
  if (before.nodes.get(node)?.kind === 'present') return { kind: 'local', path: [node] }

  const platforms = platformsIn(topology, undefined)
  const stocked = new Map<NodeName, ReadonlyMap<string, Arrival>>()
  const takers = []
  for (const [name, { kind, reason, demand }] of before.nodes) {
    // Who had not heard of it before does not learn of it by a client's question.
    if (isDown.has(name) || reason === 'no-news') continue
    const take = takeOf(topology, name, demand, platforms)
    if (kind === 'present') {
      const stock = name === writer ? platforms : take.held
      stocked.set(name, new Map(stock.map((platform) => [platform, { cost: 0 }])))
    }
    const senders = ways
      .to(name)
      .flatMap(({ from, isShut }) => (isDown.has(from) || isShut ? [] : [from]))
    takers.push(
      takerOf(name, { ...take, held: [] }, senders, { measure: 'links', withWords: false }),
    )
  }
  const spread = spreadOf(stocked, takers)
  const { onRequest } = takeOf(topology, node, ways.demand(node), platforms)
  const served = spread.get(node)
  const isServed = onRequest.every((platform) => served?.has(platform) === true)
  const [first] = onRequest
  if (!isServed || first === undefined) return nobody
  const path: NodeName[] = []
  for (let at: NodeName | undefined = node; at !== undefined; ) {
    path.unshift(at)
    at = spread.get(at)?.get(first)?.from
  }
  return { kind: 'fetched', path }
}
