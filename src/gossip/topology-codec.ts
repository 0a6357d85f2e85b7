/**
 * The frames of the topology protocol `/entrepot/topology/1`: a node offers the topology files that its mesh's owner signed.
 * CBOR, checked on arrival.
 */
import { z } from 'zod'
import { decodeCbor, encodeCbor } from '../record/cbor-codec.ts'
import { parsePeerId } from '../record/peer-id.ts'
import { MAX_FRAME_BYTES } from './network.ts'

export const TOPOLOGY_PROTOCOL = '/entrepot/topology/1'

/** Bytes of a file that is spread, at most: in one frame, with what it comes in. */
export const MAX_TOPOLOGY_BYTES = MAX_FRAME_BYTES - 64 * 1024
/** Files in one frame, at most: the chain of owners for a node that was away. */
export const MAX_GIVEN = 16
const SIGNATURE_BYTES = 64

/** A topology file as its mesh's owner signed it. */
const SEALED = z.object({
  realm: z.string().min(1).max(128),
  generation: z.int().min(1),
  /** Bytes of UTF-8, as they were signed. */
  text: z.string().refine((text) => Buffer.byteLength(text) <= MAX_TOPOLOGY_BYTES),
  /** Peer id of the key that signed it. */
  signer: z
    .string()
    .max(64)
    .transform((text, context) => {
      const peer = parsePeerId(text)
      if (peer !== undefined) return peer
      context.addIssue({ code: 'custom', message: 'expected a peer id' })
      return z.NEVER
    }),
  signature: z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES,
  ),
})

const REQUEST = z.discriminatedUnion('kind', [
  /** The newest one that the sender can give. */
  z.object({
    version: z.literal(1),
    kind: z.literal('offer'),
    realm: z.string().min(1).max(128),
    generation: z.int().min(1),
  }),
  /** In the order of their generations. */
  z.object({
    version: z.literal(1),
    kind: z.literal('give'),
    files: z.array(SEALED).min(1).max(MAX_GIVEN),
  }),
])

const ANSWER = z.discriminatedUnion('kind', [
  /** To an offer: nothing new. */
  z.object({ version: z.literal(1), kind: z.literal('known') }),
  /** To an offer: those above this generation. */
  z.object({ version: z.literal(1), kind: z.literal('wanted'), above: z.int().nonnegative() }),
  /** To files: they are here, and are looked at. */
  z.object({ version: z.literal(1), kind: z.literal('noted') }),
])

export type SealedTopology = z.infer<typeof SEALED>
export type TopologyRequest = z.infer<typeof REQUEST>
export type TopologyAnswer = z.infer<typeof ANSWER>

export function encodeTopologyRequest(request: TopologyRequest): Uint8Array {
  return encodeCbor(request)
}

/** @throws when the frame is not a request. */
export function decodeTopologyRequest(frame: Uint8Array): TopologyRequest {
  return REQUEST.parse(decodeCbor(frame))
}

export function encodeTopologyAnswer(answer: TopologyAnswer): Uint8Array {
  return encodeCbor(answer)
}

/** @throws when the frame is not an answer. */
export function decodeTopologyAnswer(frame: Uint8Array): TopologyAnswer {
  return ANSWER.parse(decodeCbor(frame))
}
