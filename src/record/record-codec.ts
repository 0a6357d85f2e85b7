/**
 * The bytes of a signed record: `version (1) | public key (32) | signature (64) | CBOR payload`. Fixed offsets, so
 * that no second envelope of the same record exists. The signature covers the payload, whose first field is the domain.
 */
import { createHash, verify } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { parseDigest } from '../oci/digest.ts'
import { isDigest, parseReference, parseRepositoryName } from '../oci/name.ts'
import { decodeCbor, encodeCbor } from './cbor-codec.ts'
import type { Identity } from './identity.ts'
import { keyObjectOf, type PeerId, PUBLIC_KEY_BYTES, parsePeerId, peerIdOf } from './peer-id.ts'
import { MAX_RECORD_BYTES, MAX_SEEN, type SignedRecord, type TagRecord } from './tag-record.ts'
import { isTime, type Time } from './time.ts'

const VERSION = 1
const DOMAIN = 'entrepot/record'
const SIGNATURE_BYTES = 64
const PAYLOAD_AT = 1 + PUBLIC_KEY_BYTES + SIGNATURE_BYTES

/** Records remembered, about 2 KiB each: one comes by gossip and by the feed of every neighbour, and is read back some times after. */
const MAX_REMEMBERED = 2_048
/** By id. Only what was found good: the same bytes are as good the next time. */
const remembered = new LRUCache<string, SignedRecord>({ max: MAX_REMEMBERED })

export type RecordDecode =
  | { readonly kind: 'record'; readonly signed: SignedRecord }
  | { readonly kind: 'invalid'; readonly reason: string }

/** @throws RangeError when nobody would accept it: larger than MAX_RECORD_BYTES, or more than MAX_SEEN in `seen`. */
export function signRecord(record: TagRecord, identity: Identity): SignedRecord {
  if (record.seen.size > MAX_SEEN) {
    throw new RangeError(`record has seen ${record.seen.size} keys, at most ${MAX_SEEN} fit`)
  }
  const payload = encodeCbor(toPayload(record))
  const head = [Uint8Array.of(VERSION), identity.publicKey, identity.sign(payload)]
  const bytes = Uint8Array.from(Buffer.concat([...head, payload]))
  if (bytes.length > MAX_RECORD_BYTES) {
    throw new RangeError(`record is ${bytes.length} bytes, at most ${MAX_RECORD_BYTES} are allowed`)
  }
  return { record, writer: identity.peerId, bytes, id: idOf(bytes) }
}

/** Decodes a record and checks everything that the record alone can show: size, schema, times, signature. */
export function decodeRecord(bytes: Uint8Array): RecordDecode {
  if (bytes.length > MAX_RECORD_BYTES) return invalid(`larger than ${MAX_RECORD_BYTES} bytes`)
  if (bytes.length <= PAYLOAD_AT) return invalid('too short')
  if (bytes[0] !== VERSION) return invalid(`version ${bytes[0]}, expected ${VERSION}`)
  const id = idOf(bytes)
  const known = remembered.get(id)
  if (known !== undefined) return { kind: 'record', signed: known }
  const payload = bytes.subarray(PAYLOAD_AT)
  const record = decodePayload(payload)
  if (typeof record === 'string') return invalid(record)
  for (const time of record.seen.values()) {
    if (time >= record.time) return invalid('time is not greater than every time in seen')
  }
  const publicKey = bytes.subarray(1, 1 + PUBLIC_KEY_BYTES)
  if (!isSigned(payload, bytes.subarray(1 + PUBLIC_KEY_BYTES, PAYLOAD_AT), publicKey)) {
    return invalid('signature does not match')
  }
  return { kind: 'record', signed: remember(id, record, bytes) }
}

/** Decodes a record that this node verified before it stored it: the signature is not checked again. */
export function decodeStoredRecord(bytes: Uint8Array): SignedRecord {
  const id = idOf(bytes)
  const known = remembered.get(id)
  if (known !== undefined) return known
  const record = decodePayload(bytes.subarray(PAYLOAD_AT))
  if (typeof record === 'string') throw new TypeError(`stored record: ${record}`)
  return remember(id, record, bytes)
}

/** The bytes are copied: what is remembered must not hold the frame or the page that they came in. */
function remember(id: string, record: TagRecord, bytes: Uint8Array): SignedRecord {
  const writer = peerIdOf(bytes.subarray(1, 1 + PUBLIC_KEY_BYTES))
  const signed = { record, writer, bytes: Uint8Array.from(bytes), id }
  remembered.set(id, signed)
  return signed
}

function invalid(reason: string): RecordDecode {
  return { kind: 'invalid', reason }
}

function idOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function isSigned(payload: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return verify(null, payload, keyObjectOf(publicKey), signature)
  } catch {
    return false
  }
}

function parsed<T>(parse: (text: string) => T | undefined, what: string) {
  return z
    .string()
    .max(255)
    .transform((text, context): T => {
      const value = parse(text)
      if (value !== undefined) return value
      context.addIssue({ code: 'custom', message: `expected ${what}` })
      return z.NEVER
    })
}

const TIME = z.number().transform((value, context): Time => {
  if (isTime(value)) return value
  context.addIssue({ code: 'custom', message: 'expected a time' })
  return z.NEVER
})

const COMMON = {
  domain: z.literal(DOMAIN),
  version: z.literal(VERSION),
  realm: z.string().min(1).max(128),
  repository: parsed(parseRepositoryName, 'a repository name'),
  reference: parsed(parseReference, 'a tag or digest'),
  time: TIME,
  /** Pairs sorted by writer, each writer once: one encoding for one context. */
  seen: z
    .array(z.tuple([parsed(parsePeerId, 'a peer id'), TIME]))
    .max(MAX_SEEN)
    .refine((pairs) =>
      pairs.every(([writer], at) => at === 0 || (pairs[at - 1]?.[0] ?? '') < writer),
    ),
}

const PAYLOAD = z.discriminatedUnion('kind', [
  z.strictObject({
    ...COMMON,
    kind: z.literal('put'),
    digest: parsed(parseDigest, 'a digest'),
    mediaType: z.string().min(1).max(255),
    size: z.int().nonnegative(),
    subject: parsed(parseDigest, 'a digest').optional(),
  }),
  z.strictObject({
    ...COMMON,
    kind: z.literal('delete'),
    subject: parsed(parseDigest, 'a digest').optional(),
  }),
])

/** Fields in the order of the schema, pairs sorted: one record has one payload, however it was put together. */
function toPayload(record: TagRecord): object {
  const { realm, repository, reference, kind, time } = record
  const seen = [...record.seen].sort(([a], [b]) => (a < b ? -1 : 1))
  const common = { domain: DOMAIN, version: VERSION, realm, repository, reference, kind }
  const about = record.subject === undefined ? {} : { subject: record.subject }
  if (record.kind === 'delete') return { ...common, ...about, time, seen }
  const { digest, mediaType, size } = record
  return { ...common, digest, mediaType, size, ...about, time, seen }
}

/** The record, or what is wrong with it. */
function decodePayload(payload: Uint8Array): TagRecord | string {
  let value: unknown
  try {
    value = decodeCbor(payload)
  } catch {
    return 'payload is not CBOR'
  }
  const result = PAYLOAD.safeParse(value)
  if (!result.success) {
    const [issue] = result.error.issues
    return `${issue?.path.join('.')}: ${issue?.message}`
  }
  const { domain: _domain, version: _version, seen, ...rest } = result.data
  if (rest.kind === 'put' && isDigest(rest.reference) && rest.reference !== rest.digest) {
    return 'digest: differs from the reference'
  }
  return { ...rest, seen: new Map<PeerId, Time>(seen) } as TagRecord
}
