/** The graph for a terminal of 80 columns: a tree of what leads down, then the links that join in other ways. */
import { counted } from '../lib/counted.ts'
import type { NodeName } from '../topology/topology.ts'
import { type Graph, type GraphLink, type GraphNode, policyNames, policyText } from './graph.ts'

const WIDTH = 80
/** Children of one node that are listed one by one. */
const MAX_CHILDREN = 24
const INDENT = '    '

interface Branch {
  readonly node: GraphNode
  readonly label: string
  readonly children: Branch[]
}

export function graphText(graph: Graph): string {
  const { realm, generation, nodes, links } = graph
  const counts = `${counted(nodes.length, 'node')}, ${counted(links.length, 'link')}`
  const { roots, hung } = treeOf(graph)
  const lines = roots.flatMap((root) => branchLines(root, '', ''))
  const left = Math.max(0, ...lines.map(([name]) => name.length)) + 2
  const others = links.flatMap((link) => otherLines(link, hung))
  const policies = new Map(links.flatMap((link) => link.policies.map((one) => [one.name, one])))
  const widest = Math.max(0, ...[...policies.keys()].map((name) => name.length)) + 2
  return [
    `${realm}, generation ${generation}: ${counts}`,
    '',
    ...lines.flatMap(([name, label]) => wrapped(name.padEnd(left), label, left)),
    ...(others.length === 0 ? [] : ['', ...others]),
    '',
    ...[...policies.values()].flatMap((policy) =>
      wrapped(policy.name.padEnd(widest), policyText(policy), widest),
    ),
  ].join('\n')
}

/** Each node once, under the first node of the level above that sends to it by an arrow. */
function treeOf({ nodes, links }: Graph): {
  readonly roots: readonly Branch[]
  /** `number from to` of what the tree shows. */
  readonly hung: ReadonlySet<string>
} {
  const branches = new Map<NodeName, Branch>()
  const hung = new Set<string>()
  const roots: Branch[] = []
  const arrows = links.filter(({ kind }) => kind === 'arrows')
  const into = new Map<NodeName, { from: NodeName; link: GraphLink }[]>()
  for (const link of arrows) {
    for (const { from, to } of link.edges) into.set(to, [...(into.get(to) ?? []), { from, link }])
  }
  for (const node of nodes) {
    const ways = into.get(node.name) ?? []
    const parent = ways
      .map(({ from }) => branches.get(from))
      .find((one) => one !== undefined && one.node.level < node.level)
    const taken = ways.filter(({ from }) => from === parent?.node.name).map(({ link }) => link)
    const by = taken.map(({ number, ...link }) => `[${number}] ${policyNames([link])}`)
    const writes = node.writes.length === 0 ? [] : [`writes ${node.writes.join(' ')}`]
    const branch = { node, label: [...by, ...writes].join('; '), children: [] }
    branches.set(node.name, branch)
    for (const { number } of taken) hung.add(`${number} ${parent?.node.name} ${node.name}`)
    if (parent === undefined) roots.push(branch)
    else parent.children.push(branch)
  }
  return { roots, hung }
}

function branchLines(
  { node, label, children }: Branch,
  head: string,
  body: string,
): readonly (readonly [string, string])[] {
  const shown = children.length > MAX_CHILDREN ? children.slice(0, MAX_CHILDREN - 1) : children
  const more = children.length - shown.length
  const below = shown.flatMap((child, at) => {
    const isLast = at === shown.length - 1 && more === 0
    return branchLines(
      child,
      `${body}${isLast ? '└── ' : '├── '}`,
      `${body}${isLast ? INDENT : '│   '}`,
    )
  })
  const rest: (readonly [string, string])[] =
    more === 0 ? [] : [[`${body}└── and ${more} more`, '']]
  return [[`${head}${node.name}`, label], ...below, ...rest]
}

/** What of a link the tree does not show. */
function otherLines(link: GraphLink, hung: ReadonlySet<string>): readonly string[] {
  const { number, kind, members, policies, edges } = link
  const head = `[${number}] ${policyNames([{ policies }])}: `
  if (kind === 'mesh') return wrapped(head, `${members.join(', ')}, each with each other`, 4)
  if (kind === 'ring') {
    const isBack = edges.some(
      ({ from, to }) => members.length > 2 && members.indexOf(to) === members.indexOf(from) - 1,
    )
    const arrow = isBack || members.length === 2 ? ' <-> ' : ' -> '
    return wrapped(
      head,
      [...members, ...(members.length > 2 ? members.slice(0, 1) : [])].join(arrow),
      4,
    )
  }
  const byFrom = new Map<NodeName, NodeName[]>()
  for (const { from, to } of edges) {
    if (hung.has(`${number} ${from} ${to}`)) continue
    byFrom.set(from, [...(byFrom.get(from) ?? []), to])
  }
  return [...byFrom].flatMap(([from, to]) => wrapped(head, `${from} -> ${to.join(', ')}`, 4))
}

/** A text behind a head, in lines of the terminal's width; further lines are indented. */
function wrapped(head: string, text: string, indent: number): readonly string[] {
  const lines: string[] = []
  let line = head
  let isBegun = false
  for (const word of text.split(' ')) {
    if (isBegun && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = `${' '.repeat(indent)}${word}`
      continue
    }
    line = isBegun ? `${line} ${word}` : `${line}${word}`
    isBegun = true
  }
  return [...lines, line].map((one) => one.trimEnd())
}
