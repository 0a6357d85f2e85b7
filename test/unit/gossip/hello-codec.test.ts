import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHello, encodeHello, type Hello } from '../../../src/gossip/hello-codec.ts'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'

const HELLO: Hello = {
  version: 1,
  realm: 'demo',
  generation: 3,
  hash: 'a'.repeat(64),
  now: Date.UTC(2026, 0, 1),
  epoch: 'AAECAwQFBgcICQoL',
  endpoint: 'http://127.0.0.1:5000',
  token: 'c2l4dGVlbiBieXRlcyBhdCBsZWFzdA',
}

describe('the hello frame', () => {
  test('its bytes are the ones that were agreed', () => {
    const golden = readFileSync(new URL('golden/hello-1.hex', import.meta.url), 'utf8').trim()
    expect(Buffer.from(encodeHello(HELLO)).toString('hex')).toBe(golden)
    const decoded = decodeHello(Buffer.from(golden, 'hex'))
    expect(decoded).toEqual({ kind: 'hello', hello: HELLO })
  })

  test('what is encoded is decoded again', () => {
    const text = (maxLength: number) => fc.string({ minLength: 1, maxLength })
    const hellos = fc.record(
      {
        version: fc.constant(1 as const),
        realm: text(128),
        generation: fc.nat(),
        hash: text(64),
        now: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
        epoch: text(64),
        token: fc.string({
          unit: fc.integer({ min: 33, max: 126 }).map(String.fromCharCode),
          minLength: 16,
          maxLength: 128,
        }),
        endpoint: fc
          .tuple(
            fc.constantFrom('http', 'https'),
            fc.constantFrom('hub', '127.0.0.1', '[::1]'),
            fc.nat(65_535),
          )
          .map(([scheme, host, port]) => `${scheme}://${host}:${port}/`),
      },
      { requiredKeys: ['version', 'realm', 'generation', 'hash', 'now', 'epoch', 'token'] },
    ) as fc.Arbitrary<Hello>
    fc.assert(
      fc.property(hellos, (hello) => {
        expect(decodeHello(encodeHello(hello))).toEqual({ kind: 'hello', hello })
      }),
    )
  })

  test('a field that it does not know is passed over', () => {
    const frame = encodeCbor({ ...HELLO, colour: 'green' })
    expect(decodeHello(frame)).toEqual({ kind: 'hello', hello: HELLO })
  })

  test('fingerprints of keys are passed on where there are some', () => {
    const hello = { ...HELLO, fingerprints: ['0'.repeat(64), 'f'.repeat(64)] }
    expect(decodeHello(encodeHello(hello))).toEqual({ kind: 'hello', hello })
  })

  test('another version is told apart from garbage, whatever else it says', () => {
    const frame = encodeCbor({ version: 2, sayings: [] })
    expect(decodeHello(frame)).toEqual({ kind: 'other-version', version: 2 })
  })

  test.each([
    ['a token with a line break', { token: 'sixteen bytes at\r\nleast' }],
    ['a token that can be guessed', { token: 'short' }],
    ['an endpoint that is no web address', { endpoint: 'file:///etc/passwd' }],
    ['no realm', { realm: '' }],
    ['a fingerprint that is none', { fingerprints: ['F'.repeat(64)] }],
    ['more fingerprints than a node has', { fingerprints: Array(5).fill('f'.repeat(64)) }],
    ['a time that is no number', { now: 'now' }],
    ['a negative generation', { generation: -1 }],
  ])('%s is refused', (_, change) => {
    expect(() => decodeHello(encodeCbor({ ...HELLO, ...change }))).toThrow()
  })

  test.each([
    ['nothing', ''],
    ['text', '6568656c6c6f'],
    ['a date in place of a time', 'c11a514b67b0'],
    ['an error object', 'd81b83654572726f7261610a'],
    ['nesting without end', '81'.repeat(4_000)],
    ['a map that claims 2^32 members', 'bb0000000100000000'],
  ])('%s is refused', (_, hex) => {
    expect(() => decodeHello(Buffer.from(hex, 'hex'))).toThrow()
  })

  test('a frame of more than 4 KiB is not even decoded', () => {
    const frame = encodeCbor({ ...HELLO, padding: 'x'.repeat(4_096) })
    expect(() => decodeHello(frame)).toThrow(RangeError)
  })

  test('no bytes make it fail in any other way than by throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(['hello', 'other-version']).toContain(decodeHello(bytes).kind)
        } catch (err) {
          expect(err).toBeInstanceOf(Error)
        }
      }),
    )
  })
})
