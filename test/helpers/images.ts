/** Small images in memory, with right digests: the same seed gives the same bytes. */
import { createCipheriv, createHash } from 'node:crypto'
import { type Digest, digestOf } from '../../src/oci/digest.ts'

export interface TestBlob {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface TestManifest extends TestBlob {
  /** Config and layers. */
  readonly blobs: readonly TestBlob[]
  /** Manifests that it names: they have to be pushed before it. */
  readonly children: readonly TestManifest[]
}

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

export interface ImageOptions {
  /** Bytes of each layer. */
  readonly layerBytes?: number
  readonly layers?: number
  readonly architecture?: string
  readonly subject?: TestBlob
  readonly annotations?: Record<string, string>
  /** Layers to use instead of own ones: shared with another image. */
  readonly sharedLayers?: readonly TestBlob[]
}

/** An OCI image manifest with its config and layers; incompressible bytes that follow from `seed`. */
export function makeImage(seed: string, options: ImageOptions = {}): TestManifest {
  const { layerBytes = 64, layers = 2, architecture = 'amd64', subject, annotations } = options
  const own = Array.from({ length: layers }, (_, at) =>
    makeBlob(bytesOf(`${seed} layer ${at}`, layerBytes), OCI_LAYER),
  )
  const used = options.sharedLayers ?? own
  const config = makeJson(
    { architecture, os: 'linux', seed, rootfs: { type: 'layers', diff_ids: [] } },
    OCI_CONFIG,
  )
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config),
    layers: used.map(descriptorOf),
    ...(subject === undefined ? {} : { subject: descriptorOf(subject) }),
    ...(annotations === undefined ? {} : { annotations }),
  }
  return { ...makeJson(document, OCI_MANIFEST), blobs: [config, ...used], children: [] }
}

/** The same content as a Docker schema 2 manifest. */
export function makeDockerImage(seed: string, options: ImageOptions = {}): TestManifest {
  const { blobs } = makeImage(seed, options)
  const [config, ...layers] = blobs
  if (config === undefined) throw new Error('an image has a config')
  const document = {
    schemaVersion: 2,
    mediaType: DOCKER_MANIFEST,
    config: {
      ...descriptorOf(config),
      mediaType: 'application/vnd.docker.container.image.v1+json',
    },
    layers: layers.map((layer) => ({
      ...descriptorOf(layer),
      mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    })),
  }
  return { ...makeJson(document, DOCKER_MANIFEST), blobs, children: [] }
}

/** An index over images, one platform each; `more`: fields of the descriptors, in their order. */
export function makeIndex(
  children: readonly TestManifest[],
  mediaType = OCI_INDEX,
  more: readonly object[] = [],
): TestManifest {
  const manifests = children.map((child, at) => ({
    ...descriptorOf(child),
    platform: { os: 'linux', architecture: ['amd64', 'arm64', 's390x'][at % 3] },
    ...more[at],
  }))
  const document = { schemaVersion: 2, mediaType, manifests }
  return { ...makeJson(document, mediaType), blobs: [], children }
}

export function descriptorOf({ mediaType, digest, bytes }: TestBlob) {
  return { mediaType, digest, size: bytes.length }
}

export function makeBlob(bytes: Uint8Array, mediaType = 'application/octet-stream'): TestBlob {
  return { digest: digestOf(bytes), mediaType, bytes }
}

function makeJson(document: object, mediaType: string): TestBlob {
  return makeBlob(Buffer.from(JSON.stringify(document)), mediaType)
}

/** Bytes that follow from a text and do not compress: a key stream, as fast as the processor's AES. */
export function bytesOf(seed: string, size: number): Uint8Array {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

/** Every manifest of the image, children first. */
export function manifestsOf(image: TestManifest): readonly TestManifest[] {
  return [...image.children.flatMap(manifestsOf), image]
}
