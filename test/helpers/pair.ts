/** The smallest mesh for a client: a hub that takes pushes, and an edge that serves them. */
import { eventually } from './eventually.ts'
import { type MeshOptions, type MeshProcess, startMesh } from './mesh-process.ts'
import type { NodeProcess } from './node-process.ts'
import { digestAt } from './registry-calls.ts'

const PAIR = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: pair, generation: 1 }
nodes:
  hub: {}
  edge: { labels: { level: edge } }
origins:
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: { level: edge }, policies: [all] }
`

export function startPair(options: MeshOptions = {}): Promise<MeshProcess> {
  return startMesh({ text: PAIR }, options)
}

/** Waits until the node shows the tag. @returns its digest */
export function arrival({ url }: NodeProcess, repository: string, tag: string): Promise<string> {
  return eventually(() => digestAt(url, repository, tag))
}

/** As clients name it: `HOST:PORT`. */
export function hostOf({ url }: NodeProcess): string {
  return new URL(url).host
}
