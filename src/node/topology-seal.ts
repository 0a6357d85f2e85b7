/** The signature of a mesh's owner over a topology file: who has the owner's key may change what running nodes run. */
import { createHash, verify } from 'node:crypto'
import type { SealedTopology } from '../gossip/topology-codec.ts'
import type { Identity } from '../record/identity.ts'
import { keyObjectOf, publicKeyOf } from '../record/peer-id.ts'

/** Says what is signed: the same key may sign other things, and none of them counts here. */
const PURPOSE = 'entrepot-topology/1'

export type UnsealedTopology = Pick<SealedTopology, 'realm' | 'generation' | 'text'>

export function sealTopology(owner: Identity, file: UnsealedTopology): SealedTopology {
  return { ...file, signer: owner.peerId, signature: owner.sign(signedBytes(file)) }
}

/** Whether the signer that it names signed it. */
export function isSealed({ signer, signature, ...file }: SealedTopology): boolean {
  return verify(null, signedBytes(file), keyObjectOf(publicKeyOf(signer)), signature)
}

/** Generation and hash hold no NUL: the parts cannot run into each other. */
function signedBytes({ realm, generation, text }: UnsealedTopology): Buffer {
  const hash = createHash('sha256').update(text).digest('hex')
  return Buffer.from([PURPOSE, realm, String(generation), hash].join('\0'))
}
