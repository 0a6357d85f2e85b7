/**
 * Whom a member of a topic passes news on to where it does not tell everybody it is connected to: a random graph, the same from both
 * ends, as the mesh of gossipsub is one. Unlike there a member may have much more or less than the degree; nobody depends on it, as
 * the author tells all.
 */
import type { PeerId } from '../record/peer-id.ts'

interface OverlayMember {
  readonly self: PeerId
  readonly connected: ReadonlyMap<PeerId, unknown>
}

export interface SimOverlay {
  /** `degree`: how many, on average. */
  of(member: OverlayMember, topic: string, degree: number): readonly PeerId[]
}

export function createSimOverlay(isOnTopic: (peer: PeerId, topic: string) => boolean): SimOverlay {
  /** By member and topic; good as long as it has as many connections. */
  const picked = new Map<
    string,
    { readonly connections: number; readonly peers: readonly PeerId[] }
  >()
  return {
    of: ({ self, connected }, topic, degree) => {
      const name = `${self} ${topic}`
      const known = picked.get(name)
      if (known?.connections === connected.size) return known.peers
      const members = [...connected.keys()].filter((peer) => isOnTopic(peer, topic))
      const share = degree / members.length
      const peers = members.filter((peer) => chance([self, peer].sort().join(topic)) < share)
      picked.set(name, { connections: connected.size, peers })
      return peers
    },
  }
}

/** A number in [0, 1) that follows from the text: FNV-1a, mixed once more, since names differ by little. */
function chance(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
