/** Whether a name or a key is one of this mesh. */
import type { Topology } from './topology.ts'

/** `host[:port]` of the mesh's endpoints: names under which clients know it. */
export function endpointNames(topology: Topology): readonly string[] {
  const endpoints = [...topology.nodes.values()].map(({ endpoint }) => endpoint)
  return endpoints.flatMap((url) => (url === undefined ? [] : [new URL(url).host]))
}

/** Whether a peer id is one of the nodes'. */
export function isInTopology(topology: Topology): (peerId: string) => boolean {
  const known = new Set([...topology.nodes.values()].map(({ peerId }) => peerId))
  return (peerId) => known.has(peerId)
}
