/**
 * The frames of the audit protocol `/entrepot/audit/1`: one request, one answer. CBOR, checked on arrival. All requests are
 * about what the asked node has in its feed up to the asker's position, as far as the asker may see it.
 */
import { z } from 'zod'
import { decodeCbor, encodeCbor } from '../record/cbor-codec.ts'
import { MAX_KEPT } from '../record/history.ts'
import { MAX_RECORD_BYTES } from '../record/tag-record.ts'

export const AUDIT_PROTOCOL = '/entrepot/audit/1'

/** Bytes of the hash of an entry, and of the sum of a bucket. */
export const HASH_BYTES = 8
/** Buckets in one answer, at most; hashes in one frame, at most: half a frame. */
const MAX_BUCKETS = 20_000
export const MAX_HASHES = 65_536

const BYTES = z.custom<Uint8Array>((value) => value instanceof Uint8Array)
const HASHES = BYTES.refine(
  ({ length }) => length % HASH_BYTES === 0 && length <= MAX_HASHES * HASH_BYTES,
)
/** `repository NUL reference`; keys are compared as bytes of UTF-8. */
const KEY = z.string().max(600)

const COMMON = {
  version: z.literal(1),
  /** Where the asker's reading of the feed is. */
  position: z.strictObject({
    epoch: z.string().max(64),
    number: z.int().nonnegative(),
    filter: z.string().max(64),
  }),
  /** Only keys greater than this one; empty = from the first. */
  after: KEY,
}
/** Only keys up to this one; absent = to the last. */
const UNTIL = KEY.optional()

const REQUEST = z.discriminatedUnion('kind', [
  z.strictObject({ ...COMMON, kind: z.literal('summary') }),
  z.strictObject({ ...COMMON, kind: z.literal('hashes'), until: UNTIL }),
  z.strictObject({ ...COMMON, kind: z.literal('entries'), until: UNTIL, hashes: HASHES }),
])

const BUCKET = z.strictObject({
  until: UNTIL,
  /** The hashes of its entries, XOR. */
  sum: BYTES.refine(({ length }) => length === HASH_BYTES),
})

const ANSWER = z.discriminatedUnion('kind', [
  /** The position says nothing to the asked node: reading its feed begins again, and so does the audit. */
  z.strictObject({ version: z.literal(1), kind: z.literal('unknown-position') }),
  z.strictObject({
    version: z.literal(1),
    kind: z.literal('summary'),
    /** Without a gap, in the order of the keys. The last one of all has no `until`. */
    buckets: z.array(BUCKET).max(MAX_BUCKETS),
  }),
  z.strictObject({ version: z.literal(1), kind: z.literal('hashes'), hashes: HASHES }),
  z.strictObject({
    version: z.literal(1),
    kind: z.literal('entries'),
    /** Signed records of each entry, byte for byte. */
    entries: z.array(
      z
        .array(z.custom<Uint8Array>((v) => v instanceof Uint8Array && v.length <= MAX_RECORD_BYTES))
        .max(MAX_KEPT),
    ),
    /** The key up to which they are; absent = that was all of them. */
    through: UNTIL,
  }),
])

export type AuditRequest = z.infer<typeof REQUEST>
export type AuditAnswer = z.infer<typeof ANSWER>
export type AuditPosition = AuditRequest['position']

export function encodeAuditRequest(request: AuditRequest): Uint8Array {
  return encodeCbor(request)
}

/** @throws when the frame is not a request. */
export function decodeAuditRequest(frame: Uint8Array): AuditRequest {
  return REQUEST.parse(decodeCbor(frame))
}

export function encodeAuditAnswer(answer: AuditAnswer): Uint8Array {
  return encodeCbor(answer)
}

/** @throws when the frame is not an answer. */
export function decodeAuditAnswer(frame: Uint8Array): AuditAnswer {
  return ANSWER.parse(decodeCbor(frame))
}

/** Hashes as text, for a set. */
export function hashesOf(bytes: Buffer): readonly string[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) =>
    bytes.toString('latin1', at * HASH_BYTES, (at + 1) * HASH_BYTES),
  )
}
