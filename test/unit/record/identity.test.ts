import { generateKeyPairSync, verify } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  generateIdentity,
  identityFromPem,
  identityFromSeed,
} from '../../../src/record/identity.ts'
import { keyObjectOf, parsePeerId, peerIdOf, publicKeyOf } from '../../../src/record/peer-id.ts'

/** Seed and peer id as js-libp2p gives them: `peerIdFromPrivateKey(generateKeyPairFromSeed('Ed25519', seed))`. */
const SEED = Buffer.alloc(32, 7)

describe('record / identity', () => {
  test('the same seed gives the same peer id, and another seed another one', () => {
    const identity = identityFromSeed(SEED)
    expect(identityFromSeed(SEED).peerId).toBe(identity.peerId)
    expect(Buffer.from(identity.seed)).toEqual(SEED)
    expect(identityFromSeed(Buffer.alloc(32, 8)).peerId).not.toBe(identity.peerId)
  })

  test('the peer id is the one that libp2p derives from the same key', async () => {
    const { generateKeyPairFromSeed } = await import('@libp2p/crypto/keys')
    const { peerIdFromPrivateKey } = await import('@libp2p/peer-id')
    const theirs = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', SEED))
    expect(identityFromSeed(SEED).peerId).toBe(theirs.toString())
  })

  test('what the identity signs is verified by the key in its peer id', () => {
    const { peerId, sign } = generateIdentity()
    const key = keyObjectOf(publicKeyOf(peerId))
    const signature = sign(Buffer.from('text'))
    expect(verify(null, Buffer.from('text'), key, signature)).toBe(true)
    expect(verify(null, Buffer.from('Text'), key, signature)).toBe(false)
  })

  test('an identity survives the PEM, and another kind of key is refused', () => {
    const identity = generateIdentity()
    expect(identityFromPem(identity.toPem()).peerId).toBe(identity.peerId)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const other = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    expect(() => identityFromPem(other)).toThrow('expected an Ed25519 key, got ec')
  })
})

describe('record / peer-id', () => {
  test('a peer id carries its public key', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        const peerId = peerIdOf(key)
        expect(peerId).toMatch(/^12D3KooW/)
        expect(parsePeerId(peerId)).toBe(peerId)
        expect(Buffer.from(publicKeyOf(peerId))).toEqual(Buffer.from(key))
      }),
    )
  })

  test.each([
    ['nothing', ''],
    ['a hashed key of RSA', 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'],
    ['a character that is not in base58', `${identityFromSeed(SEED).peerId.slice(0, -1)}0`],
    ['one character short', identityFromSeed(SEED).peerId.slice(0, -1)],
    ['one character more', `${identityFromSeed(SEED).peerId}1`],
    ['a text that takes long to decode', '1'.repeat(100_000)],
  ])('%s is no peer id', (_, text) => {
    expect(parsePeerId(text)).toBeUndefined()
  })

  test('whatever is accepted is the one way to write its key', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('1', '2', 'D', 'K', 'o', 'W', '3', 'a'), maxLength: 60 }),
        (text) => {
          const peerId = parsePeerId(text)
          if (peerId !== undefined) expect(peerIdOf(publicKeyOf(peerId))).toBe(text)
        },
      ),
    )
  })
})
