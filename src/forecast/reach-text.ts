/** Reach in words: what becomes of an image at a node, by which path, link and policy, or what stops it. */
import { boundText } from '../lib/duration.ts'
import { linkNumber } from '../topology/links.ts'
import type { NodeName, Platforms, Policy, Topology } from '../topology/topology.ts'
import { delayOf } from './latency.ts'
import type { Question, Reach, Reaches } from './reach.ts'

export interface Asked {
  readonly topology: Topology
  readonly question: Question
  readonly reaches: Reaches
}

/** What the node does with the image, and why. Without its name and without what the reach is called. */
export function whyText(asked: Asked, node: NodeName): string {
  const { topology, question, reaches } = asked
  const reach = reaches.nodes.get(node)
  if (reach === undefined) return `the topology has no node ${node}`
  const way = pathText(asked, reach.path)
  switch (reach.kind) {
    case 'present':
      if (node === reaches.writer) return writerText(asked)
      return reach.latestMs === undefined ? `by ${way}` : `by ${way}, ${latestText(asked, reach)}`
    case 'available':
      return `by ${way}: ${modesText(reach, ['lazy'])}`
    case 'manual':
      return `${manualText(asked, reach)}, by ${way}`
    case 'absent':
      break
  }
  switch (reach.reason) {
    case 'down':
      return 'it is down'
    case 'no-platform': {
      const { held, onRequest, onWord } = reach.demand ?? {}
      const lists = [held, onRequest, onWord].filter((one) => one !== undefined).map(platformText)
      return `it hears of it by ${way} and takes ${lists.join(' and ')} only`
    }
    case 'no-window':
      return `it hears of it by ${way}, and ${modesText(reach, ['scheduled'])}: its window never opens`
    case 'no-source':
      return `it hears of it by ${way}, but nobody who tells it has what it wants: ${sendersText(asked, node)}`
    default:
      return reaches.writer === undefined ? nowhereText(asked) : noNewsText(topology, asked, node)
  }
  function sendersText({ reaches: { ways, nodes } }: Asked, to: NodeName): string {
    const senders = new Map(ways.to(to).map(({ from, isShut }) => [from, isShut]))
    const said = [...senders].map(([from, isShut]) => {
      const shut = isShut ? ', but at a bandwidth of 0' : ''
      return `${from} ${nodes.get(from)?.kind ?? ''}${shut}`
    })
    return said.join(', ')
  }
  function writerText({ question: { from } }: Asked): string {
    return from === node ? 'it is pushed here' : `what is pushed at ${question.from} ends here`
  }
}

/** `hq -> us-1 (links[0], policy pos) -> shop-101 (links[1], policy pos-edge)` */
export function pathText({ reaches: { ways } }: Asked, path: readonly NodeName[]): string {
  return path
    .map((node, at) => {
      const from = path[at - 1]
      if (from === undefined) return node
      const taken = ways.to(node).filter((way) => way.from === from)
      const open = taken.filter(({ policies }) => policies.length > 0)
      const links = [...new Set((open.length > 0 ? open : taken).map(({ link }) => link))]
      const policies = open.flatMap((way) => way.policies)
      const by = policies.length > 0 ? policiesText(policies) : 'a writer reads back'
      return `${node} (${links.map(linkText).join(', ')}, ${by})`
    })
    .join(' -> ')
}

function linkText(number: number): string {
  return `links[${number}]`
}

export function latestText(asked: Asked, { latestMs, path }: Reach): string {
  if (latestMs !== undefined) return `at the latest in ${boundText(latestMs)}`
  return `no latest time: ${unboundedText(asked, path)}`
}

/** Which step of a path has no bound. */
function unboundedText({ topology, reaches }: Asked, path: readonly NodeName[]): string {
  for (const node of path.slice(1)) {
    const demand = reaches.ways.demand(node)
    const isHeld = demand?.held !== undefined
    const timeZone = topology.nodes.get(node)?.timeZone ?? 'UTC'
    if (demand === undefined || !isHeld || delayOf(demand, timeZone) !== undefined) continue
    const holding = demand.policies.filter(({ mode }) => mode === 'eager' || mode === 'scheduled')
    if (holding.length === 0) return `${node} reads back as a writer, and no policy sets slo.lag`
    return `${policiesText(holding)} sets no slo.lag for ${node}`
  }
  return 'no policy on its way sets slo.lag'
}

/** `policy dev is lazy` */
function modesText({ demand }: Reach, modes: readonly Policy['mode'][]): string {
  const named = (demand?.policies ?? []).filter(({ mode }) => modes.includes(mode))
  return `${policiesText(named)} is ${[...new Set(named.map(({ mode }) => mode))].join(', ')}`
}

function manualText({ reaches: { nodes } }: Asked, reach: Reach): string {
  if (reach.demand?.onWord !== undefined) return modesText(reach, ['manual'])
  const waiting = reach.path.find((node) => nodes.get(node)?.demand?.onWord !== undefined)
  return `it waits for a person's word at ${waiting ?? 'a node on the way'}`
}

function nowhereText({ question: { from, repository, down }, topology }: Asked): string {
  if (down?.includes(from) === true) return `${from} is down: nothing is pushed there`
  const origin = topology.origins.find((one) => one.matches(repository))
  if (origin === undefined) return `no entry of origins matches ${repository}`
  return `${from} may not write ${repository}, only ${origin.writers.join(', ')}`
}

/** What stands between the node and those that know. */
function noNewsText(topology: Topology, { reaches, question }: Asked, node: NodeName): string {
  const image = `${question.repository}:${question.tag}`
  const closed = new Map<string, NodeName[]>()
  const deaf: string[] = []
  for (const group of topology.groups) {
    if (!group.receivers.includes(node)) continue
    for (const from of group.senders) {
      if (from === node) continue
      const sender = reaches.nodes.get(from)
      if (sender === undefined || sender.path.length === 0) {
        deaf.push(sender?.reason === 'down' ? `${from} (down)` : from)
        continue
      }
      const link = `${linkText(linkNumber(group))}: ${group.policies.map(({ name }) => name).join(', ')}`
      closed.set(link, [...(closed.get(link) ?? []), from])
    }
  }
  if (closed.size > 0) {
    const ways = [...closed].map(([link, from]) => `${from.join(', ')} -> ${node} (${link})`)
    return `${ways.join(' and ')} ${ways.length > 1 ? 'do' : 'does'} not let ${image} through`
  }
  if (deaf.length === 0) return 'no link leads to it'
  return `none of those who could tell it hears of it: ${[...new Set(deaf)].join(', ')}`
}

function platformText(platforms: Platforms): string {
  return platforms === 'all' ? 'all platforms' : platforms.join(', ')
}

function policiesText(policies: readonly Pick<Policy, 'name'>[]): string {
  const names = [...new Set(policies.map(({ name }) => name))]
  return `${names.length === 1 ? 'policy' : 'policies'} ${names.join(', ')}`
}
