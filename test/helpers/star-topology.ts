/** A topology of a hub and its edges, with peer ids that follow from the names. */
import { identityFromSeed } from '../../src/record/identity.ts'
import type { PeerId } from '../../src/record/peer-id.ts'
import type { Topology } from '../../src/topology/topology.ts'
import { readTopology } from '../../src/topology/topology-file.ts'

export function peerIdOfName(name: string): PeerId {
  return identityFromSeed(Buffer.alloc(32, name)).peerId
}

/** `hub` sends everything to each edge. Only nodes named in `endpoints` have one. */
export function starTopology(
  edges: readonly string[],
  {
    realm = 'demo',
    endpoints = {},
  }: { readonly realm?: string; readonly endpoints?: Readonly<Record<string, string>> } = {},
): Topology {
  const nodes = ['hub', ...edges].map((name) => {
    const endpoint = endpoints[name]
    return `  ${name}: { peerId: ${peerIdOfName(name)}${endpoint === undefined ? '' : `, endpoint: "${endpoint}"`} }`
  })
  const text = `
apiVersion: entrepot/v1
kind: Topology
metadata: { name: ${realm}, generation: 1 }
nodes:
${nodes.join('\n')}
origins:
  - { repos: ["**"], writers: hub }
policies:
  all: { match: { repos: ["demo/**"] }, mode: eager }
links:
  - { shape: star, center: hub, leaves: [${edges.join(', ')}], policies: [all] }
`
  const { topology, findings } = readTopology(text)
  if (topology === undefined) throw new Error(findings.map(({ message }) => message).join('; '))
  return topology
}
