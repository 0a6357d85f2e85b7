/** Content of the other nodes of a large simulation: a round trip for each request, then the bytes at the rate of the link. */
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { Core } from '../node/core.ts'
import { flow } from '../topology/flow.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { RegistrySource } from '../transfer/registry-source.ts'
import type { BlobSizes } from './scale-blobs.ts'
import type { Rates } from './scale-rates.ts'

export interface ScaleSourceDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly coreOf: (node: NodeName) => Pick<Core, 'content'> | undefined
  readonly isConnected: (a: NodeName, b: NodeName) => boolean
  readonly rates: Rates
  readonly sizes: BlobSizes
  readonly onContent: (from: NodeName, to: NodeName, bytes: number) => void
  readonly clock: Clock
}

/** Nobody looks into the bytes: pages that are never written take no memory. */
const NOTHING = Buffer.alloc(16 * 1024 * 1024)

export function createScaleSource(
  deps: ScaleSourceDeps,
  { roundTripMs }: { readonly roundTripMs: number },
): RegistrySource {
  const { topology, self, coreOf, isConnected, rates, sizes, onContent, clock } = deps
  const unreachable = { kind: 'unreachable', reason: 'not connected' } as const
  const absent = { kind: 'absent' } as const

  return {
    manifest: async (node, repository, digest, { signal }) => {
      await clock.sleep(roundTripMs, { signal })
      const core = coreOf(node)
      if (core === undefined || !isConnected(node, self)) return unreachable
      if (!flow(topology, node, self).reads(repository)) return absent
      const found = await core.content.readManifest(repository, digest)
      if (found === undefined) return absent
      const { bytes, mediaType } = found
      await rates.transfer(node, self, bytes.length, { signal })
      onContent(node, self, bytes.length)
      return { kind: 'manifest', bytes, mediaType }
    },
    blob: async (node, repository, digest, { offset, end, signal }) => {
      await clock.sleep(roundTripMs, { signal })
      const core = coreOf(node)
      if (core === undefined || !isConnected(node, self)) return unreachable
      if (!flow(topology, node, self).reads(repository)) return absent
      const stat = await core.content.statBlob(repository, digest)
      if (stat === undefined) return absent
      const size = sizes.get(digest) ?? 0
      const left = Math.min(size, end ?? size) - offset
      return { kind: 'blob', offset, body: body(node, left, signal) }
    },
  }

  async function* body(node: NodeName, size: number, signal: AbortSignal) {
    await rates.transfer(node, self, size, { signal })
    if (!isConnected(node, self)) throw new EntrepotError('CHANNEL_CLOSED', 'not connected')
    onContent(node, self, size)
    for (let at = 0; at < size; at += NOTHING.length) yield NOTHING.subarray(0, size - at)
  }
}
