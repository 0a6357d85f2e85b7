/** The node's own key: signs records. The file format (PKCS#8 PEM) is read and written by `node/identity-file.ts`. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { type PeerId, PUBLIC_KEY_BYTES, peerIdOf } from './peer-id.ts'

export interface Identity {
  readonly peerId: PeerId
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 32 bytes: the Ed25519 seed, for libraries that build their own key from it. */
  readonly seed: Uint8Array
  /** A 64-byte Ed25519 signature. */
  sign(bytes: Uint8Array): Uint8Array
  /** PKCS#8 PEM. */
  toPem(): string
}

/** DER PrivateKeyInfo of an Ed25519 key, without the seed (RFC 8410 section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

export function generateIdentity(): Identity {
  return identityOf(generateKeyPairSync('ed25519').privateKey)
}

/** An identity from 32 bytes: the same bytes give the same peer id. */
export function identityFromSeed(seed: Uint8Array): Identity {
  const key = Buffer.concat([PKCS8_PREFIX, seed])
  return identityOf(createPrivateKey({ key, format: 'der', type: 'pkcs8' }))
}

/** @throws TypeError when the PEM is not an Ed25519 private key. */
export function identityFromPem(pem: string): Identity {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError(`expected an Ed25519 key, got ${key.asymmetricKeyType}`)
  }
  return identityOf(key)
}

function identityOf(privateKey: KeyObject): Identity {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const publicKey = Uint8Array.from(spki.subarray(-PUBLIC_KEY_BYTES))
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' })
  return {
    peerId: peerIdOf(publicKey),
    publicKey,
    seed: Uint8Array.from(pkcs8.subarray(-32)),
    sign: (bytes) => sign(null, bytes, privateKey),
    toPem: () => privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  }
}
