/** An image that container engines can unpack: layers are tar files, and the config names their digests. */
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import {
  bytesOf,
  descriptorOf,
  makeBlob,
  OCI_MANIFEST,
  type TestManifest,
} from '../helpers/images.ts'

const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** linux on this machine's processor; two layers with a file each, `bytes` long. The same seed gives the same image. */
export async function makeRealImage(seed: string, bytes = 200_000): Promise<TestManifest> {
  const tars = await Promise.all(
    ['first', 'second'].map((name) =>
      makeTar(name, Buffer.from(bytesOf(`${seed} ${name}`, bytes))),
    ),
  )
  const layers = tars.map((tar) => makeBlob(gzipSync(tar, { level: 1 }), LAYER))
  const config = makeBlob(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: { Cmd: ['/first'] },
        rootfs: {
          type: 'layers',
          diff_ids: tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`),
        },
      }),
    ),
    CONFIG,
  )
  const manifest = makeBlob(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: descriptorOf(config),
        layers: layers.map(descriptorOf),
      }),
    ),
    OCI_MANIFEST,
  )
  return { ...manifest, blobs: [config, ...layers], children: [] }
}

async function makeTar(name: string, content: Buffer): Promise<Buffer> {
  const tar = pack()
  tar.entry({ name, mode: 0o644, mtime: new Date(0) }, content)
  tar.finalize()
  return buffer(tar)
}
