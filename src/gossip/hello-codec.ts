/** The frames of the hello protocol `/entrepot/hello/1`: the same shape both ways. CBOR, checked on arrival. */
import { z } from 'zod'
import { decodeCbor, encodeCbor } from '../record/cbor-codec.ts'

export const HELLO_PROTOCOL = '/entrepot/hello/1'
export const HELLO_VERSION = 1

const VERSIONED = z.object({ version: z.int() })

/** Fields that it does not know are passed over: a newer release may say more within the same version. */
const HELLO = z.object({
  version: z.literal(HELLO_VERSION),
  realm: z.string().min(1).max(128),
  generation: z.int().nonnegative(),
  /** Hash of the topology. */
  hash: z.string().max(64),
  /** The sender's wall clock, milliseconds since the Unix epoch. */
  now: z.number(),
  /** Of the sender's feed. */
  epoch: z.string().min(1).max(64),
  /** Base URL of its registry. */
  endpoint: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .optional(),
  /** SHA-256 of the public key of the certificate that its registry serves now, hex; a list, so that a release may serve two. */
  fingerprints: z
    .array(z.string().regex(/^[0-9a-f]{64}$/))
    .min(1)
    .max(4)
    .optional(),
  /** With it the receiver may read bytes at the sender. It goes into a header: printable ASCII. */
  token: z
    .string()
    .min(16)
    .max(128)
    .regex(/^[ -~]+$/),
})

export type Hello = z.infer<typeof HELLO>

export type HelloDecode =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'other-version'; readonly version: number }

/** Largest hello accepted, bytes. */
const MAX_HELLO_BYTES = 4096

export function encodeHello(hello: Hello): Uint8Array {
  return encodeCbor(hello)
}

/** @throws when the frame is no hello at all. */
export function decodeHello(frame: Uint8Array): HelloDecode {
  if (frame.length > MAX_HELLO_BYTES) {
    throw new RangeError(`hello is ${frame.length} bytes, at most ${MAX_HELLO_BYTES} are allowed`)
  }
  const value = decodeCbor(frame)
  const { version } = VERSIONED.parse(value)
  if (version !== HELLO_VERSION) return { kind: 'other-version', version }
  return { kind: 'hello', hello: HELLO.parse(value) }
}
