/** Images as large as wanted whose layers have a size and no bytes. */
import { type Digest, digestOf } from '../oci/digest.ts'

export interface SizedImage {
  readonly manifest: {
    readonly digest: Digest
    readonly mediaType: string
    readonly bytes: Uint8Array
  }
  /** Config and layers: digest and size in bytes. */
  readonly blobs: ReadonlyMap<Digest, number>
  /** Of the manifest and its blobs, bytes. */
  readonly bytes: number
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const CONFIG_BYTES = 2_048
/** A base, what is installed on it, and two small ones, as images are: shares of the whole. */
const LAYERS = [0.5, 0.25, 0.125, 0.125]

/** All images of different names are different, and share nothing. */
export function makeSizedImage(name: string, layerBytes: number): SizedImage {
  const blob = (what: string, mediaType: string, size: number) => ({
    mediaType,
    digest: digestOf(Buffer.from(`${name} ${what}`)),
    size,
  })
  const config = blob('config', CONFIG, CONFIG_BYTES)
  const layers = LAYERS.map((share, at) =>
    blob(`layer ${at}`, LAYER, Math.max(1, Math.round(layerBytes * share))),
  )
  const document = { schemaVersion: 2, mediaType: MANIFEST, config, layers }
  const bytes = Buffer.from(JSON.stringify(document))
  const blobs = new Map([config, ...layers].map(({ digest, size }) => [digest, size]))
  const size = [...blobs.values()].reduce((sum, one) => sum + one, bytes.length)
  return { manifest: { digest: digestOf(bytes), mediaType: MANIFEST, bytes }, blobs, bytes: size }
}
