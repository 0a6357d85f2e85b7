/** Who may write: of overlapping origins the first that matches holds. */
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName, Origin, Topology } from './topology.ts'

export function originOf(topology: Topology, repository: RepositoryName): Origin | undefined {
  return topology.origins.find((origin) => origin.matches(repository))
}

export function writersOf(topology: Topology, repository: RepositoryName): readonly NodeName[] {
  return originOf(topology, repository)?.writers ?? []
}

/** Whether a tag that exists may be pushed again with another manifest. */
export function tagsMayMove(topology: Topology, repository: RepositoryName): boolean {
  return originOf(topology, repository)?.immutableTags !== true
}

/** The node that this key belongs to now. */
export function nodeOfPeer(topology: Topology, peerId: string): NodeName | undefined {
  for (const node of topology.nodes.values()) if (node.peerId === peerId) return node.name
  return undefined
}

/** Whether a record that `peerId` signed at `timeMs` (milliseconds since the Unix epoch) counts for the repository. */
export function mayWrite(
  topology: Topology,
  peerId: string,
  repository: RepositoryName,
  timeMs: number,
): boolean {
  return writersOf(topology, repository).some((writer) => {
    const node = topology.nodes.get(writer)
    if (node?.peerId === peerId) return true
    return (node?.formerPeerIds ?? []).some(
      (former) => former.peerId === peerId && timeMs <= former.untilMs,
    )
  })
}

/** Why this node may not write a repository, with who may; undefined where it may. */
export function refuseWriting(
  topology: Topology,
  self: NodeName,
  repository: RepositoryName,
): string | undefined {
  const writers = writersOf(topology, repository)
  if (writers.includes(self)) return undefined
  if (writers.length === 0)
    return `no node of this mesh may write ${repository}: no entry of origins matches it`
  const names = writersWithEndpoints(topology, repository)
  return `node ${self} does not accept pushes to ${repository}; push to ${names}`
}

/** For people: `hub (https://hub.example:5000) or hub-2 (...)`. */
export function writersWithEndpoints(topology: Topology, repository: RepositoryName): string {
  const names = writersOf(topology, repository).map((name) => {
    const endpoint = topology.nodes.get(name)?.endpoint
    return endpoint === undefined ? name : `${name} (${endpoint})`
  })
  return names.join(' or ')
}
