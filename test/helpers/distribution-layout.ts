/** Content on disk as distribution writes it: files alone, no index and none of our code. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { manifestsOf, type TestBlob, type TestManifest } from './images.ts'

export interface DistributionLayout {
  readonly root: string
  blobFile(digest: string): string
  layerLink(repository: string, digest: string): string
  revisionLink(repository: string, digest: string): string
  tagLink(repository: string, tag: string): string
  putBlob(blob: Pick<TestBlob, 'digest' | 'bytes'>): Promise<void>
  /** The image with all that it names; with a tag, where one is given. */
  putImage(repository: string, tag: string | undefined, image: TestManifest): Promise<void>
  write(path: string, text: string | Uint8Array): Promise<void>
  remove(path: string): Promise<void>
}

export function distributionLayout(directory: string): DistributionLayout {
  const root = join(directory, 'docker/registry/v2')
  const inRepository = (repository: string, path: string) =>
    join(root, 'repositories', repository, path)
  const digestPath = (digest: string) => digest.replace(':', '/')

  async function write(path: string, text: string | Uint8Array): Promise<void> {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  }

  const layout: DistributionLayout = {
    root,
    blobFile: (digest) => {
      const [algorithm = '', hex = ''] = digest.split(':')
      return join(root, 'blobs', algorithm, hex.slice(0, 2), hex, 'data')
    },
    layerLink: (repository, digest) =>
      inRepository(repository, `_layers/${digestPath(digest)}/link`),
    revisionLink: (repository, digest) =>
      inRepository(repository, `_manifests/revisions/${digestPath(digest)}/link`),
    tagLink: (repository, tag) => inRepository(repository, `_manifests/tags/${tag}/current/link`),
    putBlob: ({ digest, bytes }) => write(layout.blobFile(digest), bytes),
    putImage: async (repository, tag, image) => {
      for (const manifest of manifestsOf(image)) {
        for (const blob of manifest.blobs) {
          await layout.putBlob(blob)
          await write(layout.layerLink(repository, blob.digest), blob.digest)
        }
        await layout.putBlob(manifest)
        await write(layout.revisionLink(repository, manifest.digest), manifest.digest)
      }
      if (tag === undefined) return
      const { digest } = image
      const history = `_manifests/tags/${tag}/index/${digestPath(digest)}/link`
      await write(inRepository(repository, history), digest)
      await write(layout.tagLink(repository, tag), digest)
    },
    write,
    remove: (path) => rm(path, { recursive: true }),
  }
  return layout
}
