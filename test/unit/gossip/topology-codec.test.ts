import { describe, expect, test } from 'vitest'
import {
  decodeTopologyAnswer,
  decodeTopologyRequest,
  encodeTopologyAnswer,
  encodeTopologyRequest,
  MAX_TOPOLOGY_BYTES,
  type SealedTopology,
} from '../../../src/gossip/topology-codec.ts'
import { encodeCbor } from '../../../src/record/cbor-codec.ts'
import { peerIdOfName } from '../../helpers/star-topology.ts'

const FILE: SealedTopology = {
  realm: 'demo',
  generation: 2,
  text: 'apiVersion: entrepot/v1 # größer',
  signer: peerIdOfName('owner'),
  signature: new Uint8Array(64).fill(7),
}

function given(change: object): Uint8Array {
  return encodeCbor({ version: 1, kind: 'give', files: [{ ...FILE, ...change }] })
}

describe('gossip / topology codec', () => {
  test('requests and answers come back as they went', () => {
    const offer = { version: 1, kind: 'offer', realm: 'demo', generation: 2 } as const
    expect(decodeTopologyRequest(encodeTopologyRequest(offer))).toEqual(offer)
    const give = decodeTopologyRequest(
      encodeTopologyRequest({ version: 1, kind: 'give', files: [FILE] }),
    )
    if (give.kind !== 'give') throw new Error('expected files')
    const [file] = give.files
    expect({ ...file, signature: [...(file?.signature ?? [])] }).toEqual({
      ...FILE,
      signature: [...FILE.signature],
    })
    for (const answer of [
      { version: 1, kind: 'known' },
      { version: 1, kind: 'wanted', above: 0 },
      { version: 1, kind: 'noted' },
    ] as const) {
      expect(decodeTopologyAnswer(encodeTopologyAnswer(answer))).toEqual(answer)
    }
  })

  test.each([
    ['a text that is too long', { text: 'x'.repeat(MAX_TOPOLOGY_BYTES + 1) }],
    [
      'a text whose characters are few and bytes too many',
      { text: 'ü'.repeat(MAX_TOPOLOGY_BYTES / 2 + 1) },
    ],
    ['a signer that is no key', { signer: '12D3KooWnobody' }],
    ['a signature that is too short', { signature: new Uint8Array(63) }],
    ['a signature that is text', { signature: 'x'.repeat(64) }],
    ['generation 0', { generation: 0 }],
    ['a realm without a letter', { realm: '' }],
  ])('%s is refused', (_name, change) => {
    expect(() => decodeTopologyRequest(given(change))).toThrow()
  })

  test('more files than a chain has, and none, are refused', () => {
    const files = (count: number) =>
      encodeCbor({ version: 1, kind: 'give', files: Array.from({ length: count }, () => FILE) })
    expect(() => decodeTopologyRequest(files(16))).not.toThrow()
    expect(() => decodeTopologyRequest(files(17))).toThrow()
    expect(() => decodeTopologyRequest(files(0))).toThrow()
    expect(() => decodeTopologyRequest(Buffer.from('junk'))).toThrow()
  })
})
