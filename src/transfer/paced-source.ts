/** A source that keeps to the bandwidth of the links: it reads no faster, and the sender's socket fills up. */
import type { Clock } from '../lib/clock.ts'
import type { PairLimit } from '../topology/rates.ts'
import type { NodeName } from '../topology/topology.ts'
import { createPacer, LinkClosedError, type Pacer } from './pacer.ts'
import type { Refused, RegistrySource } from './registry-source.ts'

export interface PacedSourceDeps {
  readonly source: RegistrySource
  /** Who is not in it sends as fast as it can. */
  readonly limits: ReadonlyMap<NodeName, PairLimit>
  readonly clock: Clock
}

/** Bytes up to which a blob goes ahead of larger ones: configs, signatures, and the last piece of any other. */
const SMALL_BYTES = 65_536

export function createPacedSource({ source, limits, clock }: PacedSourceDeps): RegistrySource {
  const pacers = new Map(
    [...limits].map(([from, limit]) => [from, createPacer({ from, limit, clock })]),
  )

  return {
    manifest: async (node, repository, digest, options) => {
      const pacer = pacers.get(node)
      const closed = pacer?.closure()
      if (closed !== undefined) return refusal(closed)
      const answer = await source.manifest(node, repository, digest, options)
      if (pacer === undefined || answer.kind !== 'manifest') return answer
      try {
        // They are here already: the next ones wait for them.
        await pacer.take(answer.bytes.length, { isSmall: true, signal: options.signal })
        return answer
      } catch (err) {
        if (err instanceof LinkClosedError) return refusal(err)
        throw err
      }
    },
    blob: async (node, repository, digest, options) => {
      const pacer = pacers.get(node)
      const closed = pacer?.closure()
      if (closed !== undefined) return refusal(closed)
      const answer = await source.blob(node, repository, digest, options)
      if (pacer === undefined || answer.kind !== 'blob') return answer
      const { size = Number.POSITIVE_INFINITY, signal } = options
      const isSmall = size - answer.offset <= SMALL_BYTES
      return { ...answer, body: paced(answer.body, pacer, { isSmall, signal }) }
    },
  }
}

async function* paced(
  body: AsyncIterable<Uint8Array>,
  pacer: Pacer,
  turn: { readonly isSmall: boolean; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + pacer.pieceBytes())
      await pacer.take(piece.length, turn)
      yield piece
      at += piece.length
    }
  }
}

function refusal({ message, untilMs }: LinkClosedError): Refused {
  return { kind: 'closed', reason: message, untilMs }
}
