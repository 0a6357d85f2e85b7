/** Content of other simulated nodes: what their registry would answer, with cuts, delays and wrong bytes. */
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Core } from '../node/core.ts'
import type { Identity } from '../record/identity.ts'
import type { MemoryDisk } from '../storage/memory-blob-store.ts'
import { flow } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import type { SimHub } from './sim-network.ts'

/** Another node, as far as its registry is concerned. */
export interface SimPeer {
  readonly identity: Pick<Identity, 'peerId'>
  readonly disk: { readonly disk: MemoryDisk }
  /** Undefined while its process is down. */
  readonly core: Pick<Core, 'content'> | undefined
}

export interface SimSourceDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly nodes: ReadonlyMap<NodeName, SimPeer>
  readonly clock: Clock
  readonly random: Random
  readonly hub: SimHub
  /** Of the asking process. */
  readonly signal: AbortSignal
}

/** Bytes between two places where a transfer can be cut. */
const SLICE = 16

export function createSimSource(deps: SimSourceDeps): RegistrySource {
  const { topology, self, nodes, clock, random, hub } = deps

  /** The other node's core, if it runs and the link to it is up. */
  function reach(node: NodeName) {
    const other = nodes.get(node)
    const me = nodes.get(self)
    if (other?.core === undefined || me === undefined) return undefined
    return hub.areConnected(me.identity.peerId, other.identity.peerId) ? other.core : undefined
  }

  const isCut = () => random.fraction() < hub.options.dropRate / 4
  const wait = () => clock.sleep(hub.options.maxDelayMs * random.fraction())

  return {
    manifest: async (node, repository, digest) => {
      await wait()
      const core = reach(node)
      if (core === undefined || isCut()) return { kind: 'unreachable', reason: 'cut' }
      if (!flow(topology, node, self).reads(repository)) return { kind: 'absent' }
      const found = await core.content.readManifest(repository, digest)
      if (found === undefined) return { kind: 'absent' }
      return { kind: 'manifest', bytes: found.bytes, mediaType: found.mediaType }
    },
    blob: async (node, repository, digest, { offset }) => {
      await wait()
      const core = reach(node)
      if (core === undefined || isCut()) return { kind: 'unreachable', reason: 'cut' }
      if (!flow(topology, node, self).reads(repository)) return { kind: 'absent' }
      if ((await core.content.statBlob(repository, digest)) === undefined) return { kind: 'absent' }
      const bytes = nodes.get(node)?.disk.disk.blobs.get(digest) ?? new Uint8Array()
      return { kind: 'blob', offset, body: slices(bytes.subarray(offset), node) }
    },
  }

  async function* slices(bytes: Uint8Array, node: NodeName): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += SLICE) {
      await wait()
      if (reach(node) === undefined || isCut()) throw new Error('cut')
      yield bytes.subarray(at, at + SLICE)
    }
  }
}
