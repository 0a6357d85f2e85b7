/** Peer ids of Ed25519 keys: the multihash "identity" of libp2p's public-key protobuf, in base58btc ("12D3Koo..."). */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'

export type PeerId = string & { readonly __brand: 'PeerId' }

/** identity multihash (0x00), length 36, protobuf: field 1 = key type Ed25519, field 2 = 32 bytes (libp2p specs, peer-ids). */
const PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
/** DER SubjectPublicKeyInfo of an Ed25519 key, without the key (RFC 8410 section 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** Bytes of an Ed25519 public key. */
export const PUBLIC_KEY_BYTES = 32

/** Base58 is slow, and a mesh has millions of records of a few writers: ids made before, by the bytes of the key. */
const made = new Map<string, PeerId>()
/** More than a mesh has writers; full, it is begun anew. */
const MAX_MADE = 1_024

export function peerIdOf(publicKey: Uint8Array): PeerId {
  const bytes = Buffer.from(publicKey).toString('latin1')
  const known = made.get(bytes)
  if (known !== undefined) return known
  const peerId = base58btc.baseEncode(Buffer.concat([PREFIX, publicKey])) as PeerId
  if (made.size >= MAX_MADE) made.clear()
  made.set(bytes, peerId)
  return peerId
}

/** The peer id, or undefined when `text` does not carry an Ed25519 public key. */
export function parsePeerId(text: string): PeerId | undefined {
  return publicKeyBytes(text) === undefined ? undefined : (text as PeerId)
}

/** The 32 bytes of the public key in the peer id. */
export function publicKeyOf(peerId: PeerId): Uint8Array {
  return publicKeyBytes(peerId) as Uint8Array
}

export function keyObjectOf(publicKey: Uint8Array): KeyObject {
  return createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, publicKey]),
    format: 'der',
    type: 'spki',
  })
}

function publicKeyBytes(text: string): Uint8Array | undefined {
  // 38 bytes are at most 52 characters in base58: a longer text is not worth decoding (quadratic time).
  if (text.length > 52) return undefined
  try {
    const bytes = base58btc.baseDecode(text)
    const isEd25519 = bytes.length === 38 && PREFIX.every((byte, index) => bytes[index] === byte)
    return isEd25519 ? bytes.subarray(PREFIX.length) : undefined
  } catch {
    return undefined
  }
}
