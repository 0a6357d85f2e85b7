/**
 * CBOR as the mesh uses it: plain maps, arrays, numbers, text and bytes. Tags that would build other objects are refused for
 * the whole process, and sizes are bounded: frames come from other machines.
 */
import { addExtension, Encoder, setSizeLimits } from 'cbor-x'

/** Dates, bignums, references, errors, sets, typed arrays: nothing of ours uses them (cbor-x decodes them unasked). */
const REFUSED_TAGS = [0, 1, 2, 3, 4, 5, 14, 15, 27, 28, 29, 51, 105, 258, 259]
const TYPED_ARRAY_TAGS = { first: 64, last: 87 }

function refuse(tag: number): void {
  addExtension({
    tag,
    decode: () => {
      throw new TypeError(`CBOR tag ${tag} is not used here`)
    },
  } as unknown as Parameters<typeof addExtension>[0])
}

for (const tag of REFUSED_TAGS) refuse(tag)
for (let tag = TYPED_ARRAY_TAGS.first; tag <= TYPED_ARRAY_TAGS.last; tag += 1) refuse(tag)

/** Members of one container: a manifest of 4 MiB names fewer descriptors, a frame of 1 MiB fewer entries. */
const MAX_MEMBERS = 65_536

setSizeLimits({
  maxArraySize: MAX_MEMBERS,
  maxMapSize: MAX_MEMBERS,
  maxObjectSize: MAX_MEMBERS,
})

const encoder = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false })

export function encodeCbor(value: unknown): Uint8Array {
  return encoder.encode(value)
}

/** @throws when the bytes are not CBOR, or use what is refused. The value still has to be checked by a schema. */
export function decodeCbor(bytes: Uint8Array): unknown {
  return encoder.decode(bytes) as unknown
}
