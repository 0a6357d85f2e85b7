/** The frames of the feed protocol `/entrepot/feed/1`: one request, one answer. CBOR, checked on arrival. */
import { z } from 'zod'
import { parseDigest } from '../oci/digest.ts'
import { decodeCbor, encodeCbor } from '../record/cbor-codec.ts'
import { MAX_KEPT } from '../record/history.ts'
import { MAX_RECORD_BYTES } from '../record/tag-record.ts'

export const FEED_PROTOCOL = '/entrepot/feed/1'

/** Entries in one answer, at most: with their records they stay well below a frame. */
export const MAX_PAGE_ENTRIES = 500

const REQUEST = z.strictObject({
  version: z.literal(1),
  /** Where the reader is; absent = at the beginning. `filter` is the one the answer of that position named. */
  position: z
    .strictObject({
      epoch: z.string().max(64),
      number: z.int().nonnegative(),
      filter: z.string().max(64),
    })
    .optional(),
  /** How long the answer may wait for news, milliseconds. */
  waitMs: z.int().min(0).max(60_000),
})

const SIGNED = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length <= MAX_RECORD_BYTES,
)

const DIGEST = z
  .string()
  .max(200)
  .transform((text) => parseDigest(text))

/** Platforms told of one image: who holds more says less, and is asked all the same. */
export const MAX_PLATFORMS = 16

const PARTLY = z.object({
  held: DIGEST,
  kept: z.array(DIGEST).max(MAX_KEPT).optional(),
  platforms: z.array(z.string().max(100)).min(1).max(MAX_PLATFORMS),
})

/** What a later version adds is passed over. */
const ENTRY = z.object({
  /** Signed records, byte for byte. */
  records: z.array(SIGNED).max(MAX_KEPT),
  /** What the sender serves for the key, whole. */
  held: DIGEST.optional(),
  /** Losers of the key that the sender serves too. */
  kept: z.array(DIGEST).max(MAX_KEPT).optional(),
  /** Instead of both, where the sender has them for these platforms only: who does not know this field takes nothing for whole. */
  partly: PARTLY.optional(),
})

const ANSWER = z.strictObject({
  version: z.literal(1),
  epoch: z.string().min(1).max(64),
  /** Hash of what the sender lets the reader see. */
  filter: z.string().min(1).max(64),
  /** The sender began again: the reader's position meant nothing to it. */
  restarted: z.boolean(),
  entries: z.array(ENTRY).max(MAX_PAGE_ENTRIES),
  /** Looked through up to here. */
  through: z.int().nonnegative(),
  /** Where the feed ended when the sender answered: `through` has reached it when there is nothing more to read. */
  head: z.int().nonnegative(),
  /** The sender's wall clock, milliseconds since the Unix epoch, and how long it let the answer wait. */
  now: z.number().optional(),
  heldMs: z.number().nonnegative().optional(),
})

export type FeedRequest = z.infer<typeof REQUEST>
export type FeedAnswer = z.infer<typeof ANSWER>
export type FeedEntry = FeedAnswer['entries'][number]

export function encodeFeedRequest(request: FeedRequest): Uint8Array {
  return encodeCbor(request)
}

/** @throws when the frame is not a request. */
export function decodeFeedRequest(frame: Uint8Array): FeedRequest {
  return REQUEST.parse(decodeCbor(frame))
}

export function encodeFeedAnswer(answer: FeedAnswer): Uint8Array {
  return encodeCbor(answer)
}

/** @throws when the frame is not an answer. */
export function decodeFeedAnswer(frame: Uint8Array): FeedAnswer {
  return ANSWER.parse(decodeCbor(frame))
}
