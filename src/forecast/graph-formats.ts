/** The graph for programs that draw: Mermaid and DOT. */
import { type Graph, type GraphLink, isEager, jointsOf, policyNames } from './graph.ts'

/** For Markdown pages and documentation. */
export function mermaidText(graph: Graph): string {
  const ids = new Map(graph.nodes.map(({ name }, at) => [name, `n${at}`]))
  const lines = graph.nodes.map(({ name }) => `  ${ids.get(name)}["${name}"]`)
  const edges = jointsOf(graph).map(({ a, b, isBothWays, links }) => {
    const line = areEager(links) ? '--' : '-.-'
    const arrow = `${isBothWays ? '<' : ''}${line}>`
    return `  ${ids.get(a)} ${arrow}|"${quoted(policyNames(links), '#quot;')}"| ${ids.get(b)}`
  })
  return [`%% ${headOf(graph)}`, 'flowchart TD', ...lines, ...edges].join('\n')
}

/** For Graphviz. */
export function dotText(graph: Graph): string {
  const levels = [...new Set(graph.nodes.map(({ level }) => level))]
  const ranks = levels.map((level) => {
    const names = graph.nodes.filter((node) => node.level === level).map(({ name }) => `"${name}"`)
    return `  { rank=same; ${names.join('; ')} }`
  })
  const edges = jointsOf(graph).map(({ a, b, isBothWays, links }) => {
    const marks = [
      `label="${quoted(policyNames(links), '\\"')}"`,
      ...(isBothWays ? ['dir=both'] : []),
      ...(areEager(links) ? [] : ['style=dashed']),
    ]
    return `  "${a}" -> "${b}" [${marks.join(', ')}]`
  })
  return [
    `// ${headOf(graph)}`,
    'digraph topology {',
    '  node [shape=box, style=rounded]',
    ...ranks,
    ...edges,
    '}',
  ].join('\n')
}

function headOf({ realm, generation }: Graph): string {
  return `${realm}, generation ${generation}`
}

function areEager(links: readonly GraphLink[]): boolean {
  return links.every(isEager)
}

/** Names of policies are any text in one line. */
function quoted(text: string, quote: string): string {
  return text.replaceAll('\\', '/').replaceAll('"', quote)
}
