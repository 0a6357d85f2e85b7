import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryName, Tag } from '../../../src/oci/name.ts'
import { decodeCbor, encodeCbor } from '../../../src/record/cbor-codec.ts'
import { type Identity, identityFromPem, identityFromSeed } from '../../../src/record/identity.ts'
import { type PeerId, parsePeerId, publicKeyOf } from '../../../src/record/peer-id.ts'
import { decodeRecord, signRecord } from '../../../src/record/record-codec.ts'
import type { TagRecord } from '../../../src/record/tag-record.ts'
import { type Time, timeOfMs } from '../../../src/record/time.ts'

const identity = identityFromSeed(Buffer.alloc(32, 1))
const other = identityFromSeed(Buffer.alloc(32, 2))
const TIME = timeOfMs(Date.UTC(2026, 10, 24))

const PUT: TagRecord = {
  kind: 'put',
  realm: 'golden',
  repository: 'team/app' as RepositoryName,
  reference: 'v1.0.0' as Tag,
  digest: digestOf(Buffer.from('manifest')),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 8,
  subject: digestOf(Buffer.from('subject')),
  time: TIME,
  seen: new Map([[other.peerId, (TIME - 5) as Time]]),
}
const DELETE: TagRecord = {
  kind: 'delete',
  realm: 'golden',
  repository: 'team/app' as RepositoryName,
  reference: 'v1.0.0' as Tag,
  time: TIME,
  seen: new Map(),
}

/** Signs any payload, also one that `signRecord` would never make. */
function forge(payload: unknown, by: Identity = identity, version = 1): Uint8Array {
  const bytes = payload instanceof Uint8Array ? payload : encodeCbor(payload)
  return Buffer.concat([Uint8Array.of(version), by.publicKey, by.sign(bytes), bytes])
}

const GOOD = {
  domain: 'entrepot/record',
  version: 1,
  kind: 'delete',
  realm: 'golden',
  repository: 'team/app',
  reference: 'v1',
  time: TIME,
  seen: [] as unknown[],
}

describe('a signed record', () => {
  test.each([
    ['put', PUT],
    ['delete', DELETE],
  ])('of kind %s has the bytes of the golden file, and they decode to it', async (name, record) => {
    const golden = await readFile(new URL(`golden/${name}.hex`, import.meta.url), 'utf8')
    const { bytes, id, writer } = signRecord(record, identity)
    expect(Buffer.from(bytes).toString('hex')).toBe(golden.trim())
    const decode = decodeRecord(bytes)
    expect(decode).toEqual({
      kind: 'record',
      signed: { record, id, writer, bytes: expect.anything() },
    })
  })

  test('is refused when one bit of it is changed', () => {
    const { bytes } = signRecord(PUT, identity)
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(bytes)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(decodeRecord(changed).kind).toBe('invalid')
      }),
    )
  })

  test('is refused when it is cut, longer, too large or garbage', () => {
    const { bytes } = signRecord(DELETE, identity)
    expect(decodeRecord(bytes.subarray(0, -1)).kind).toBe('invalid')
    expect(decodeRecord(Buffer.concat([bytes, Uint8Array.of(0)])).kind).toBe('invalid')
    expect(decodeRecord(new Uint8Array(5_000)).kind).toBe('invalid')
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        (garbage) => decodeRecord(garbage).kind === 'invalid',
      ),
    )
  })

  test.each<[string, unknown]>([
    ['another domain', { ...GOOD, domain: 'entrepot/other' }],
    ['another version', { ...GOOD, version: 2 }],
    ['an unknown field', { ...GOOD, more: 1 }],
    ['an unknown kind', { ...GOOD, kind: 'move' }],
    ['a repository out of the grammar', { ...GOOD, repository: '../etc' }],
    ['a reference out of the grammar', { ...GOOD, reference: 'a/b' }],
    ['no realm', { ...GOOD, realm: '' }],
    ['a time that is no safe integer', { ...GOOD, time: 1.5 }],
    ['a time that is not greater than what it saw', { ...GOOD, seen: [[other.peerId, TIME]] }],
    [
      'a writer twice in seen',
      {
        ...GOOD,
        seen: [
          [other.peerId, 1],
          [other.peerId, 2],
        ],
      },
    ],
    [
      'seen out of order',
      {
        ...GOOD,
        seen: [other.peerId, identity.peerId]
          .sort()
          .reverse()
          .map((id) => [id, 1]),
      },
    ],
    ['somebody in seen who is no peer', { ...GOOD, seen: [['12D3KooWnobody', 1]] }],
    [
      'more than 32 writers in seen',
      {
        ...GOOD,
        seen: Array.from({ length: 33 }, (_, at) => [
          identityFromSeed(Buffer.alloc(32, at)).peerId,
          1,
        ]).sort(),
      },
    ],
    [
      'a digest that differs from the reference',
      {
        ...GOOD,
        kind: 'put',
        reference: digestOf(Buffer.from('a')),
        digest: digestOf(Buffer.from('b')),
        mediaType: 'a/b',
        size: 1,
      },
    ],
    ['a put without a digest', { ...GOOD, kind: 'put' }],
    ['deep nesting', Buffer.alloc(3_000, 0x81)],
    ['a tag that builds an object', Buffer.from('d81b8267526567457870616e65', 'hex')],
    ['nothing', new Uint8Array()],
  ])('is refused with %s, though its signature is right', (_what, payload) => {
    expect(decodeRecord(forge(payload)).kind).toBe('invalid')
  })

  test('is accepted in its good form, so that the refusals above say something', () => {
    expect(decodeRecord(forge(GOOD))).toMatchObject({ kind: 'record' })
    expect(decodeRecord(forge(GOOD, identity, 2))).toEqual({
      kind: 'invalid',
      reason: 'version 2, expected 1',
    })
  })

  test('with the most writers and the longest names is still within 4 KiB', () => {
    const seen = new Map(
      Array.from(
        { length: 32 },
        (_, at) => [identityFromSeed(Buffer.alloc(32, at + 10)).peerId, 1 as Time] as const,
      ),
    )
    const repository = `${'a'.repeat(254)}b` as RepositoryName
    const { bytes } = signRecord(
      { ...PUT, realm: 'r'.repeat(128), repository, reference: 'v'.repeat(128) as Tag, seen },
      identity,
    )
    expect(bytes.length).toBeLessThanOrEqual(4096)
    expect(decodeRecord(bytes).kind).toBe('record')
  })
})

describe('identities', () => {
  test('have the peer id that libp2p gives the key, and survive PEM', () => {
    // Public key of the seed 01 01 ..., as libp2p writes it.
    expect(identityFromPem(identity.toPem()).peerId).toBe(identity.peerId)
    expect(identity.peerId).toMatch(/^12D3KooW/)
    expect(Buffer.from(publicKeyOf(identity.peerId)).equals(Buffer.from(identity.publicKey))).toBe(
      true,
    )
  })

  test('are not parsed from other texts', () => {
    for (const text of ['', 'Qm', '12D3KooW', `${identity.peerId}1`, 'x'.repeat(10_000)]) {
      expect(parsePeerId(text)).toBeUndefined()
    }
    expect(parsePeerId(identity.peerId)).toBe(identity.peerId as PeerId)
  })
})

test('CBOR that names a typed array, a date or a set is refused', () => {
  for (const hex of ['c11a514b67b0', 'd8404401020304', 'd90102820102']) {
    expect(() => decodeCbor(Buffer.from(hex, 'hex'))).toThrow('is not used here')
  }
})
