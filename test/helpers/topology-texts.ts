/** Small topology files: two nodes and a link, of which a test replaces sections. */
import { readFileSync } from 'node:fs'
import type { NodeName, Topology } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'

/** A whole file without addresses: one writer, one reader. */
export const PAIR = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: pair, generation: 1 }
nodes: { hub: {}, edge: {} }
origins: [{ repos: ["**"], writers: hub }]
policies: { all: { match: { repos: ["**"] }, mode: eager } }
links: [{ shape: star, center: hub, leaves: edge, policies: [all] }]
`

const SECTIONS = {
  apiVersion: 'entrepot/v1',
  kind: 'Topology',
  metadata: '{ name: test, generation: 1 }',
  nodes: '{ a: { endpoint: "http://a:5000" }, b: {} }',
  origins: '[{ repos: ["**"], writers: a }]',
  policies: '{ all: { match: { repos: ["**"] }, mode: eager } }',
  links: '[{ shape: star, center: a, leaves: b, policies: [all] }]',
}

export type Sections = { readonly [Key in keyof typeof SECTIONS]?: string }

/** One section a line: apiVersion on line 1, metadata 3, nodes 4, origins 5, policies 6, links 7. */
export function textOf(sections: Sections = {}): string {
  return Object.entries({ ...SECTIONS, ...sections })
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('')
}

/** @throws when the text is refused, with the findings. */
export function topologyOf(text: string): Topology {
  const { topology, findings } = readTopology(text)
  if (topology === undefined) throw new Error(`refused: ${JSON.stringify(findings, null, 2)}`)
  return topology
}

export function topologyWith(sections: Sections): Topology {
  return topologyOf(textOf(sections))
}

/** Files that come with the project. */
export const SHIPPED = [
  'air-gap',
  'edge-pull-through',
  'full-mesh',
  'hierarchical',
  'master-slave',
  'mesh',
  'ring',
  'three-level',
]

/** One of them. */
export function shippedText(name: string): string {
  return readFileSync(new URL(`../../topologies/${name}.yaml`, import.meta.url), 'utf8')
}

export function nodeName(text: string): NodeName {
  return text as NodeName
}

/** `line:column path: message`, as a person reads them. */
export function findingLines(text: string): readonly string[] {
  return readTopology(text).findings.map(
    ({ line, column, path, severity, message }) =>
      `${severity} ${line}:${column} ${path}: ${message}`,
  )
}

export function errorLines(text: string): readonly string[] {
  return findingLines(text).filter((line) => line.startsWith('error'))
}
