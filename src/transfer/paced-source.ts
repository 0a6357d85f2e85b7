/**
 * A source that keeps to the bandwidth of the links: it asks for a blob piece by piece, each when it may come. To read slower is
 * not enough: the system takes in megabytes that nobody has read.
 */
import type { Clock } from '../lib/clock.ts'
import { EntrepotError } from '../lib/errors.ts'
import type { PairLimit } from '../topology/rates.ts'
import type { NodeName } from '../topology/topology.ts'
import { createPacer, LinkClosedError, type Pacer, SMALL_BYTES } from './pacer.ts'
import type { BlobAnswer, BlobAsk, Refused, RegistrySource } from './registry-source.ts'

export interface PacedSourceDeps {
  readonly source: RegistrySource
  /** Who is not in it sends as fast as it can. */
  readonly limits: ReadonlyMap<NodeName, PairLimit>
  readonly clock: Clock
}

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
      const { length } = answer.bytes
      try {
        // Nobody knows its size before it is here: the next ones wait for it.
        await pacer.take(length, { isSmall: true, signal: options.signal })
        pacer.arrived(length)
        return answer
      } catch (err) {
        return refusalOf(err)
      }
    },
    blob: async (node, repository, digest, options) => {
      const pacer = pacers.get(node)
      if (pacer === undefined) return source.blob(node, repository, digest, options)
      const ask = (change: Partial<BlobAsk>) =>
        source.blob(node, repository, digest, { ...options, ...change })
      try {
        return await pieceByPiece({ node, pacer, ask }, options)
      } catch (err) {
        return refusalOf(err)
      }
    },
  }
}

interface PiecesDeps {
  readonly node: NodeName
  readonly pacer: Pacer
  readonly ask: (change: Partial<BlobAsk>) => Promise<BlobAnswer | Refused>
}

/** @throws LinkClosedError; the signal's reason */
async function pieceByPiece(
  { node, pacer, ask }: PiecesDeps,
  { offset, size, signal }: BlobAsk,
): Promise<BlobAnswer | Refused> {
  /** Ends what was asked for and is not wanted any more. */
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  /** Bytes that were taken and answered, and are not here yet. */
  let awaited = 0

  async function askFrom(at: number) {
    const left = size === undefined ? Number.POSITIVE_INFINITY : size - at
    const isSmall = left <= SMALL_BYTES
    // Where nobody knows how much it is, its bytes are paid for as they come.
    const bytes = await pacer.take(size === undefined ? 0 : left, { isSmall, signal: either })
    const part = size === undefined ? { offset: at } : { offset: at, end: at + bytes }
    const answer = await ask({ ...part, signal: either }).catch((err: unknown) => {
      pacer.giveBack(bytes)
      throw err
    })
    if (answer.kind === 'blob') awaited += bytes
    else pacer.giveBack(bytes)
    return { answer, bytes }
  }

  function arrive(bytes: number): void {
    const paid = Math.min(bytes, awaited)
    awaited -= paid
    pacer.arrived(paid)
  }

  const first = await askFrom(offset)
  if (first.answer.kind !== 'blob') return first.answer
  return { ...first.answer, body: pieces(first.answer, first.bytes) }

  async function* pieces(answer: BlobAnswer, bytes: number): AsyncGenerator<Uint8Array> {
    try {
      for (let [piece, length, at] = [answer, bytes, answer.offset]; ; ) {
        const end = at + length
        // Asked for while this one comes: the way there and back must not count.
        const next = size !== undefined && end < size ? askFrom(end) : undefined
        next?.catch(() => {})
        for await (const chunk of piece.body) {
          at += chunk.length
          // From a holder that knows no ranges comes all of it.
          const over = Math.min(chunk.length, at - end)
          for (let left = over; left > 0; ) {
            const paid = await pacer.take(left, { isSmall: false, signal: either })
            pacer.arrived(paid)
            left -= paid
          }
          arrive(chunk.length - Math.max(0, over))
          yield chunk
        }
        // All is here, or it was cut.
        if (next === undefined || at !== end) return
        const { answer: following, bytes: more } = await next
        if (following.kind !== 'blob') throw refusedMidway(node, following)
        if (following.offset !== at) throw oddOffset(node, at, following.offset)
        ;[piece, length] = [following, more]
      }
    } finally {
      arrive(awaited)
      stop.abort(new DOMException('nobody reads on', 'AbortError'))
    }
  }
}

function refusedMidway(node: NodeName, refused: Refused): EntrepotError {
  const reason = refused.kind === 'absent' ? 'not there any more' : refused.reason
  return new EntrepotError('PIECE_REFUSED', `${node} gave a part of the blob: ${reason}`)
}

function oddOffset(node: NodeName, expected: number, got: number): EntrepotError {
  const message = `expected bytes from ${expected} of ${node}, got them from ${got}`
  return new EntrepotError('PIECE_REFUSED', message)
}

/** @throws any other error */
function refusalOf(err: unknown): Refused {
  if (err instanceof LinkClosedError) return refusal(err)
  throw err
}

function refusal({ message, untilMs }: LinkClosedError): Refused {
  return { kind: 'closed', reason: message, untilMs }
}
