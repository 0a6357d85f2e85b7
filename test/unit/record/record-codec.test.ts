import { readFileSync } from 'node:fs'
import { Encoder } from 'cbor-x'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'
import type { PeerId } from '../../../src/record/peer-id.ts'
import { decodeRecord, decodeStoredRecord, signRecord } from '../../../src/record/record-codec.ts'
import {
  MAX_KEYS,
  MAX_RECORD_BYTES,
  MAX_SEEN,
  type TagRecord,
} from '../../../src/record/tag-record.ts'
import { type Time, timeOfMs } from '../../../src/record/time.ts'
import { START_MS } from '../../helpers/fake-clock.ts'
import { digestNamed, identityNamed, recordBy, ref, repo } from '../../helpers/writers.ts'

const HUB = identityNamed('hub')
const TIME = timeOfMs(START_MS)
const SEEN = new Map(
  ['a', 'b'].map((name, at) => [identityNamed(name).peerId, (TIME - 2 + at) as Time]),
)
const PUT: TagRecord = {
  kind: 'put',
  realm: 'golden',
  repository: repo('team/app'),
  reference: ref('v1.0'),
  digest: digestNamed('manifest'),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 1234,
  subject: digestNamed('subject'),
  time: TIME,
  seen: SEEN,
}
const DELETE: TagRecord = {
  kind: 'delete',
  realm: 'golden',
  repository: repo('team/app'),
  reference: ref('v1.0'),
  time: (TIME + 1) as Time,
  seen: new Map([[HUB.peerId, TIME]]),
}

/** The payload as an object, to be spoilt field by field. */
const PAYLOAD = {
  domain: 'entrepot/record',
  version: 1,
  realm: 'tests',
  repository: 'app',
  reference: 'v1',
  kind: 'put',
  digest: digestNamed('content'),
  mediaType: 'application/json',
  size: 10,
  time: TIME as number,
  seen: [...SEEN].sort(([a], [b]) => (a < b ? -1 : 1)) as [string, number][],
}

/** A record around any payload, with a signature that is right. */
function sealed(payload: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(1), HUB.publicKey, HUB.sign(payload), payload])
}

function reasonFor(bytes: Uint8Array): string | undefined {
  const decode = decodeRecord(bytes)
  return decode.kind === 'invalid' ? decode.reason : undefined
}

function golden(name: string): Buffer {
  const text = readFileSync(new URL(`./golden/${name}.hex`, import.meta.url), 'utf8')
  return Buffer.from(text.replaceAll('\n', ''), 'hex')
}

describe('record / record-codec', () => {
  /** A change here is a new version of the record: nodes of both versions run side by side. */
  test.each([
    ['put', PUT],
    ['delete', DELETE],
  ])('a signed %s has the bytes that it always had', (name, record) => {
    expect(Buffer.from(signRecord(record, HUB).bytes).toString('hex')).toBe(
      golden(name).toString('hex'),
    )
    expect(decodeRecord(golden(name))).toEqual({ kind: 'record', signed: signRecord(record, HUB) })
  })

  test('a record comes back as it was signed, with its writer and the same id everywhere', () => {
    for (const record of [PUT, DELETE]) {
      const signed = signRecord(record, HUB)
      expect(signed.writer).toBe(HUB.peerId)
      expect(decodeRecord(signed.bytes)).toEqual({ kind: 'record', signed })
      expect(decodeStoredRecord(signed.bytes)).toEqual(signed)
    }
  })

  test('one record has one payload, in whatever order its fields and its context were put together', () => {
    const turned = Object.fromEntries(Object.entries(PUT).reverse()) as unknown as TagRecord
    const seen = new Map([...SEEN].reverse())
    expect(signRecord({ ...turned, seen }, HUB).id).toBe(signRecord(PUT, HUB).id)
  })

  test('a decoded record keeps its own copy of the bytes: the buffer that it came in may be used again', () => {
    const buffer = Buffer.from(signRecord(PUT, HUB).bytes)
    const decode = decodeRecord(buffer)
    buffer.fill(0)
    if (decode.kind === 'invalid') throw new Error(decode.reason)
    expect(reasonFor(decode.signed.bytes)).toBeUndefined()
  })

  test('a payload that is whole is accepted: the refusals below are for what they spoil', () => {
    expect(reasonFor(sealed(encodeCbor(PAYLOAD)))).toBeUndefined()
  })

  test.each<[string, Record<string, unknown>]>([
    ['another domain', { domain: 'other/record' }],
    ['another payload version', { version: 2 }],
    ['no realm', { realm: '' }],
    ['a realm that is too long', { realm: 'r'.repeat(129) }],
    ['a realm that is no text', { realm: 5 }],
    ['a repository that is no name', { repository: '../etc' }],
    ['a repository in upper case', { repository: 'App' }],
    ['a reference that is none', { reference: '-v1' }],
    ['a kind that nobody knows', { kind: 'move' }],
    ['no kind', { kind: undefined }],
    ['a digest that is none', { digest: 'sha256:00' }],
    ['a digest that is not the reference', { reference: digestNamed('other') }],
    ['no media type', { mediaType: '' }],
    ['a media type that is too long', { mediaType: 'm'.repeat(256) }],
    ['a size below zero', { size: -1 }],
    ['a size with a fraction', { size: 0.5 }],
    ['a size that is no number', { size: '10' }],
    ['a subject that is no digest', { subject: 'v1' }],
    ['a subject that is null', { subject: null }],
    ['time zero', { time: 0 }],
    ['a time with a fraction', { time: TIME + 0.5 }],
    ['a time beyond safe integers', { time: 2 ** 60 }],
    ['a time that is not a number', { time: Number.NaN }],
    ['a time equal to one that was seen', { time: Math.max(...SEEN.values()) }],
    ['a time before one that was seen', { time: 1 }],
    ['a context that is no list', { seen: {} }],
    ['no context', { seen: undefined }],
    ['a context with somebody who is no peer', { seen: [['nobody', 1]] }],
    ['a context with a time that is none', { seen: [[HUB.peerId, -1]] }],
    ['a context with a pair of three', { seen: [[HUB.peerId, 1, 1]] }],
    [
      'a context with more writers than a repository has',
      {
        seen: Array.from({ length: MAX_SEEN + 1 }, (_, at) => identityNamed(`w${at}`).peerId)
          .sort()
          .map((peerId) => [peerId, 1]),
      },
    ],
    ['a context out of order', { seen: [...PAYLOAD.seen].reverse() }],
    ['a context that names a writer twice', { seen: [PAYLOAD.seen[0], PAYLOAD.seen[0]] }],
    ['a field that nobody knows', { more: 1 }],
  ])('%s is refused although the signature is right', (_, spoilt) => {
    const payload = Object.fromEntries(
      Object.entries({ ...PAYLOAD, ...spoilt }).filter(([, value]) => value !== undefined),
    )
    expect(reasonFor(sealed(encodeCbor(payload)))).toBeTypeOf('string')
  })

  test('a delete with the fields of a put is refused', () => {
    const { digest: _, mediaType: __, size: ___, ...rest } = PAYLOAD
    expect(reasonFor(sealed(encodeCbor({ ...rest, kind: 'delete' })))).toBeUndefined()
    expect(reasonFor(sealed(encodeCbor({ ...PAYLOAD, kind: 'delete' })))).toBeDefined()
  })

  test('each field of the schema has to be there', () => {
    for (const name of Object.keys(PAYLOAD)) {
      const { [name as 'size']: _, ...rest } = PAYLOAD
      expect(reasonFor(sealed(encodeCbor(rest))), name).toBeDefined()
    }
  })

  test('every bit of the envelope counts', () => {
    const { bytes } = signRecord(PUT, HUB)
    for (let at = 0; at < bytes.length; at += 1) {
      const spoilt = Buffer.from(bytes)
      spoilt[at] = (spoilt[at] ?? 0) ^ (1 << (at % 8))
      expect(reasonFor(spoilt), `byte ${at}`).toBeDefined()
    }
  })

  test('a signature by another key, or none at all, is refused', () => {
    const payload = encodeCbor(PAYLOAD)
    const { sign } = identityNamed('thief')
    const forged = Buffer.concat([Uint8Array.of(1), HUB.publicKey, sign(payload), payload])
    expect(reasonFor(forged)).toBe('signature does not match')
    const empty = Buffer.concat([Uint8Array.of(1), HUB.publicKey, Buffer.alloc(64), payload])
    expect(reasonFor(empty)).toBe('signature does not match')
  })

  test('a public key of small order signs nothing', () => {
    const payload = encodeCbor(PAYLOAD)
    // y = 1, the neutral element: R = it and S = 0 satisfy the equation for every message.
    const neutral = Buffer.from(`01${'00'.repeat(31)}`, 'hex')
    const bytes = Buffer.concat([Uint8Array.of(1), neutral, neutral, Buffer.alloc(32), payload])
    const decode = decodeRecord(bytes)
    // Whoever lets it in has a writer with that key in its topology, so the key must not be the hub's.
    if (decode.kind === 'record') expect(decode.signed.writer).not.toBe(HUB.peerId)
  })

  test('bytes after the payload are refused, also when they are signed', () => {
    const payload = encodeCbor(PAYLOAD)
    expect(reasonFor(sealed(Buffer.concat([payload, Uint8Array.of(0)])))).toBeDefined()
    expect(reasonFor(sealed(Buffer.concat([payload, payload])))).toBeDefined()
    expect(reasonFor(Buffer.concat([sealed(payload), Uint8Array.of(0)]))).toBeDefined()
  })

  test('a record that is cut anywhere is refused', () => {
    const { bytes } = signRecord(PUT, HUB)
    for (let size = 0; size < bytes.length; size += 1) {
      expect(reasonFor(bytes.subarray(0, size)), `${size} bytes`).toBeDefined()
    }
  })

  test('a record that is larger than the bound is refused before anybody looks into it', () => {
    expect(reasonFor(new Uint8Array(MAX_RECORD_BYTES + 1))).toBe('larger than 4096 bytes')
  })

  test('the largest record that the grammar allows has room for every key that may write', () => {
    const writers = Array.from({ length: MAX_KEYS }, (_, at) => identityNamed(`w${at}`).peerId)
    const digest = `sha512:${'f'.repeat(128)}` as ReturnType<typeof digestNamed>
    const fields = {
      realm: 'r'.repeat(128),
      repository: repo('a'.repeat(255)),
      reference: ref('t'.repeat(128)),
      mediaType: 'm'.repeat(255),
      digest,
      subject: digest,
      size: Number.MAX_SAFE_INTEGER,
      seen: new Map(writers.map((writer) => [writer, (TIME - 1) as Time])),
    }
    const signed = recordBy(HUB, { ...fields, time: TIME })
    expect(signed.bytes.length).toBeLessThanOrEqual(MAX_RECORD_BYTES)
    // One more would not fit.
    expect(signed.bytes.length + 64).toBeGreaterThan(MAX_RECORD_BYTES)
    expect(reasonFor(signed.bytes)).toBeUndefined()
  })

  test('a record that nobody would accept is not signed', () => {
    const writers = Array.from({ length: MAX_SEEN + 1 }, (_, at) => identityNamed(`w${at}`))
    const seen = new Map<PeerId, Time>(writers.map(({ peerId }) => [peerId, 1 as Time]))
    expect(() => recordBy(HUB, { seen })).toThrow(RangeError)
    expect(() => recordBy(HUB, { mediaType: 'm'.repeat(5_000) })).toThrow(RangeError)
  })

  test('hostile CBOR is refused without a throw, and leaves nothing behind for the next record', () => {
    const hostile = [
      '9b7fffffffffffffff', // A list that claims 2^63 members.
      '9a7fffffff', // A list that claims 2^31 members.
      'ba7fffffff', // A map that claims as many.
      '5b0000000100000000', // Bytes that claim 4 GiB.
      '81'.repeat(3_900), // Lists in lists.
      'a1'.repeat(3_900), // Maps in keys.
      'd81c81d81d00', // A list that is its own member (shared references).
      'd9dfff8301816161', // A record definition, which would change what later bytes mean.
      'c2583fffff', // A bignum.
      'd81b8167526567457870', // An object of a named class.
      'a1695f5f70726f746f5f5fa16161f5', // A key __proto__.
      'ff', // A break without a beginning.
      '7f', // Text without end.
      'f7', // undefined
    ].map((hex) => Buffer.from(hex, 'hex'))
    for (const payload of hostile) {
      expect(reasonFor(sealed(payload)), payload.toString('hex').slice(0, 20)).toBeTypeOf('string')
      expect(reasonFor(sealed(encodeCbor(PAYLOAD)))).toBeUndefined()
    }
    expect(Object.prototype).not.toHaveProperty('a')
  })

  test('a payload that another encoder wrote with classes and references is refused', () => {
    const other = new Encoder({ structuredClone: true, useRecords: true })
    expect(reasonFor(sealed(other.encode({ ...PAYLOAD, seen: new Set() })))).toBeDefined()
    expect(reasonFor(sealed(other.encode({ ...PAYLOAD, time: new Date(0) })))).toBeDefined()
  })

  test('whatever is signed, the answer is a record or a reason', () => {
    const valid = Buffer.from(encodeCbor(PAYLOAD))
    const spoilt = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const payload = Buffer.from(valid)
        for (const [at, byte] of changes) payload[at] = byte
        return payload
      })
    fc.assert(
      fc.property(fc.oneof(spoilt, fc.uint8Array({ maxLength: 300 })), (payload) => {
        const decode = decodeRecord(sealed(payload))
        if (decode.kind === 'invalid') return
        // What is accepted can be read again from the index.
        expect(decodeStoredRecord(decode.signed.bytes)).toEqual(decode.signed)
      }),
      { numRuns: 1_000 },
    )
  })
})
