/** What is pulled: blobs and manifests, the same at every peer; and what is pushed: bytes that nobody has seen. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { digestOf } from '../src/oci/digest.ts'
import {
  bytesOf,
  makeBlob,
  makeImage,
  OCI_MANIFEST,
  type TestBlob,
  type TestManifest,
} from '../test/helpers/images.ts'
import type { Peer } from './peers.ts'
import { openPusher } from './pusher.ts'
import type { Ask } from './raw-get.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
export const REPOSITORY = 'demo/bench'
/** Docker's registries answer an OCI manifest only to who says that it understands one. */
export const ACCEPT_MANIFEST = OCI_MANIFEST

const SMALL_BLOBS = 256
const MIDDLE_BLOBS = 8
const MANIFESTS = 32
/** Bytes that fill a manifest of one layer up to 2 KiB. */
const MANIFEST_FILL = 1_480

export interface Corpus {
  readonly large: readonly TestBlob[]
  readonly middle: readonly TestBlob[]
  readonly small: readonly TestBlob[]
  readonly images: readonly TestManifest[]
}

export function makeCorpus(): Corpus {
  const blobs = (kind: string, count: number, size: number) =>
    Array.from({ length: count }, (_, at) => makeBlob(bytesOf(`${kind} ${at}`, size)))
  return {
    large: blobs('large', 1, 256 * MIB),
    middle: blobs('middle', MIDDLE_BLOBS, 16 * MIB),
    small: blobs('small', SMALL_BLOBS, 64 * KIB),
    images: Array.from({ length: MANIFESTS }, (_, at) =>
      makeImage(`image ${at}`, { layers: 1, annotations: { fill: 'x'.repeat(MANIFEST_FILL) } }),
    ),
  }
}

export const tagOf = (at: number) => `v${at}`
export const blobAsk = ({ digest, bytes }: TestBlob): Ask => ({
  path: `/v2/${REPOSITORY}/blobs/${digest}`,
  size: bytes.length,
})
export const manifestAsk = ({ bytes }: TestManifest, at: number): Ask => ({
  path: `/v2/${REPOSITORY}/manifests/${tagOf(at)}`,
  size: bytes.length,
})

/** Puts the content there: pushed, or as files where the peer serves files. */
export async function fill(peer: Peer, corpus: Corpus): Promise<void> {
  const blobs = [...corpus.large, ...corpus.middle, ...corpus.small]
  if (peer.files !== undefined) {
    const put = async (path: string, bytes: Uint8Array) => {
      const file = join(peer.files ?? '', path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, bytes)
    }
    for (const blob of blobs) await put(blobAsk(blob).path, blob.bytes)
    for (const [at, image] of corpus.images.entries()) {
      await put(manifestAsk(image, at).path, image.bytes)
    }
    return
  }
  await using pusher = openPusher(peer.url, REPOSITORY)
  for (const blob of blobs) await pusher.blob(blob)
  for (const [at, image] of corpus.images.entries()) await pusher.image(image, tagOf(at))
}

/** Reads every path once and compares its hash: what is measured is the right content. It also warms caches. */
export async function proveContent(
  { url }: Peer,
  asks: readonly Ask[],
  blobs: readonly TestBlob[],
): Promise<void> {
  for (const [at, { path }] of asks.entries()) {
    const answer = await fetch(`${url}${path}`, { headers: { accept: ACCEPT_MANIFEST } })
    const actual = digestOf(await answer.bytes())
    if (actual === blobs[at]?.digest) continue
    throw new Error(`${url}${path}: expected ${blobs[at]?.digest}, got ${answer.status}, ${actual}`)
  }
}
