/** A small image made on the spot: a program that says hello, and bytes that do not compress, to have something to move. */
import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { type Digest, digestOf } from '../oci/digest.ts'
import { makeHelloProgram } from './hello-program.ts'

export interface DemoBlob {
  readonly mediaType: string
  readonly digest: Digest
  readonly bytes: Uint8Array
}

export interface DemoImage {
  readonly manifest: DemoBlob
  /** Config and layers. */
  readonly blobs: readonly DemoBlob[]
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** An OCI image that runs on this machine's kind of processor; `payloadBytes` of its second layer are random. */
export async function makeDemoImage({
  payloadBytes,
}: {
  readonly payloadBytes: number
}): Promise<DemoImage> {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const program = makeHelloProgram(
    'Hello from entrepot: this image came over the mesh.\n',
    architecture,
  )
  const tars = [
    await makeTar('hello', program, 0o755),
    await makeTar('payload.bin', randomBytes(payloadBytes), 0o644),
  ]
  const layers = tars.map((tar) => toBlob(LAYER, gzipSync(tar, { level: 1 })))
  const config = toBlob(CONFIG, {
    architecture,
    os: 'linux',
    config: { Cmd: ['/hello'] },
    rootfs: {
      type: 'layers',
      diff_ids: tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`),
    },
  })
  const manifest = toBlob(MANIFEST, {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
  })
  return { manifest, blobs: [config, ...layers] }
}

async function makeTar(name: string, content: Buffer, mode: number): Promise<Buffer> {
  const tar = pack()
  tar.entry({ name, mode }, content)
  tar.finalize()
  return buffer(tar)
}

function toBlob(mediaType: string, content: object | Buffer): DemoBlob {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
  return { mediaType, digest: digestOf(bytes), bytes }
}

function descriptorOf({ mediaType, digest, bytes }: DemoBlob) {
  return { mediaType, digest, size: bytes.length }
}
