/** The frames of the hello protocol `/entrepot/hello/1`: the same shape both ways. CBOR, checked on arrival. */
import { z } from 'zod'
import { decodeCbor, encodeCbor } from '../record/cbor-codec.ts'

export const HELLO_PROTOCOL = '/entrepot/hello/1'

const HELLO = z.strictObject({
  version: z.literal(1),
  realm: z.string().min(1).max(128),
  generation: z.int().nonnegative(),
  /** Hash of the topology. */
  hash: z.string().max(64),
  /** The sender's wall clock, milliseconds since the Unix epoch. */
  now: z.number(),
  /** Of the sender's feed. */
  epoch: z.string().min(1).max(64),
  endpoint: z.string().max(2048).optional(),
  /** With it the receiver may read bytes at the sender. */
  token: z.string().min(16).max(128),
})

export type Hello = z.infer<typeof HELLO>

/** Largest hello accepted, bytes. */
const MAX_HELLO_BYTES = 4096

export function encodeHello(hello: Hello): Uint8Array {
  return encodeCbor(hello)
}

/** @throws when the frame is not a hello of this version. */
export function decodeHello(frame: Uint8Array): Hello {
  if (frame.length > MAX_HELLO_BYTES) throw new RangeError('hello is too large')
  return HELLO.parse(decodeCbor(frame))
}
