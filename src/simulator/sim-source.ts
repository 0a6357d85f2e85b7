/** Content of other simulated nodes: what their registry would answer, with cuts, delays and wrong bytes. */
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Core } from '../node/core.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Identity } from '../record/identity.ts'
import type { MemoryDisk } from '../storage/memory-blob-store.ts'
import { flow } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { Asking, RegistrySource } from '../transfer/registry-source.ts'
import type { SimLife } from './sim-life.ts'
import type { SimHub } from './sim-network.ts'

/** Another node, as far as its registry is concerned. */
export interface SimPeer {
  readonly identity: Pick<Identity, 'peerId'>
  readonly disk: { readonly disk: MemoryDisk }
  /** Which it runs: by it the node judges who may read. */
  readonly topology: Topology
  /** Undefined while its process is down. */
  readonly core: Pick<Core, 'content' | 'onRequest'> | undefined
  readonly process: { readonly life: Pick<SimLife, 'over'> } | undefined
}

export interface SimSourceDeps {
  readonly self: NodeName
  readonly nodes: ReadonlyMap<NodeName, SimPeer>
  readonly clock: Clock
  readonly random: Random
  readonly hub: SimHub
  /** Of the asking process. */
  readonly signal: AbortSignal
}

interface SimAsk {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly offset: number
  readonly end: number | undefined
  readonly asking: Asking | undefined
}

type SimCore = NonNullable<SimPeer['core']>
type Unreachable = { readonly kind: 'unreachable'; readonly reason: string }

/** Bytes between two places where a transfer can be cut. */
const SLICE = 16

export function createSimSource(deps: SimSourceDeps): RegistrySource {
  const { self, nodes, clock, random, hub } = deps

  /** The other node's core, if it runs and the link to it is up. */
  function reach(node: NodeName) {
    const other = nodes.get(node)
    const me = nodes.get(self)
    if (other?.core === undefined || me === undefined) return undefined
    return hub.areConnected(me.identity.peerId, other.identity.peerId) ? other.core : undefined
  }

  function mayRead(node: NodeName, repository: RepositoryName): boolean {
    const other = nodes.get(node)
    return other !== undefined && flow(other.topology, node, self).reads(repository)
  }

  /** What the other node reads, or nothing: its process may end on the way, and its connections with it. */
  async function ask<T extends object>(node: NodeName, read: Promise<T>): Promise<T | Unreachable> {
    const died = nodes.get(node)?.process?.life.over ?? Promise.resolve()
    const gone = died.then((): Unreachable => ({ kind: 'unreachable', reason: 'it died' }))
    return Promise.race([read, gone])
  }

  const isCut = () => random.fraction() < hub.options.dropRate / 4
  const wait = () => clock.sleep(hub.options.maxDelayMs * random.fraction())

  async function readManifest(
    core: SimCore,
    repository: RepositoryName,
    digest: Digest,
    asking: Asking | undefined,
  ) {
    const found =
      (await core.content.readManifest(repository, digest)) ??
      (await core.onRequest?.manifest(repository, digest, asking))
    if (found === undefined) return { kind: 'absent' } as const
    return { kind: 'manifest', bytes: found.bytes, mediaType: found.mediaType } as const
  }

  async function readBlob(
    core: SimCore,
    node: NodeName,
    { repository, digest, offset, end, asking }: SimAsk,
  ) {
    const stat = await core.content.statBlob(repository, digest)
    const arriving =
      stat === undefined ? core.onRequest?.blob(repository, digest, asking) : undefined
    if (arriving !== undefined) {
      const range = { start: offset, end: end ?? arriving.size }
      return { kind: 'blob', offset, body: arriving.read(range, deps.signal) } as const
    }
    if (stat === undefined) return { kind: 'absent' } as const
    const bytes = nodes.get(node)?.disk.disk.blobs.get(digest) ?? new Uint8Array()
    return { kind: 'blob', offset, body: slices(bytes.subarray(offset, end), node) } as const
  }

  return {
    manifest: async (node, repository, digest, { asking }) => {
      await wait()
      const core = reach(node)
      if (core === undefined || isCut()) return { kind: 'unreachable', reason: 'cut' }
      if (!mayRead(node, repository)) return { kind: 'absent' }
      return ask(node, readManifest(core, repository, digest, asking))
    },
    blob: async (node, repository, digest, { offset, end, asking }) => {
      await wait()
      const core = reach(node)
      if (core === undefined || isCut()) return { kind: 'unreachable', reason: 'cut' }
      if (!mayRead(node, repository)) return { kind: 'absent' }
      return ask(node, readBlob(core, node, { repository, digest, offset, end, asking }))
    },
  }

  async function* slices(bytes: Uint8Array, node: NodeName): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += SLICE) {
      await wait()
      if (reach(node) === undefined || isCut()) throw new Error('cut')
      const slice = bytes.subarray(at, at + SLICE)
      yield random.fraction() < (hub.options.corruptRate ?? 0) ? corrupted(slice) : slice
    }
  }
}

function corrupted(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte))
}
