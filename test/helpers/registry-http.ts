/** A client of the registry API for tests: pushes and pulls whole images, and says which digest a tag shows. */
import type { Digest } from '../../src/oci/digest.ts'
import { manifestsOf, type TestBlob, type TestManifest } from './images.ts'

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]

/** Blobs first, children by digest, the image itself under `tag`. @throws with the node's answer */
export async function pushImage(
  url: string,
  repository: string,
  tag: string,
  image: TestManifest,
): Promise<void> {
  for (const manifest of manifestsOf(image)) {
    for (const blob of manifest.blobs) await pushBlob(url, repository, blob)
    const reference = manifest === image ? tag : manifest.digest
    await pushManifest(url, repository, reference, manifest)
  }
}

export async function pushManifest(
  url: string,
  repository: string,
  reference: string,
  { bytes, mediaType }: TestBlob,
): Promise<void> {
  const headers = { 'content-type': mediaType }
  const at = `${url}/v2/${repository}/manifests/${reference}`
  await expectStatus(201, await fetch(at, { method: 'PUT', headers, body: Buffer.from(bytes) }))
}

export async function pushBlob(
  url: string,
  repository: string,
  { bytes, digest }: TestBlob,
): Promise<void> {
  const begin = `${url}/v2/${repository}/blobs/uploads/`
  const opened = await expectStatus(202, await fetch(begin, { method: 'POST' }))
  const location = new URL(opened.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digest)
  const headers = { 'content-type': 'application/octet-stream' }
  await expectStatus(
    201,
    await fetch(location, { method: 'PUT', headers, body: Buffer.from(bytes) }),
  )
}

/** What the tag shows at the node; undefined for none. */
export async function digestOf(
  url: string,
  repository: string,
  tag: string,
): Promise<Digest | undefined> {
  const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: MANIFEST_TYPES.join(', ') },
  })
  if (answer.status === 404) return undefined
  await expectStatus(200, answer)
  return (answer.headers.get('docker-content-digest') as Digest | null) ?? undefined
}

/** Pulls every byte of `image` by digest. @returns what differs or is missing, as sentences; empty when all is there */
export async function differences(
  url: string,
  repository: string,
  image: TestManifest,
): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const manifest of manifestsOf(image)) {
    const parts: readonly (readonly [string, TestBlob])[] = [
      ['manifests', manifest],
      ...manifest.blobs.map((blob) => ['blobs', blob] as const),
    ]
    for (const [kind, { digest, bytes }] of parts) {
      const answer = await fetch(`${url}/v2/${repository}/${kind}/${digest}`, {
        headers: { accept: MANIFEST_TYPES.join(', ') },
      })
      const body = Buffer.from(await answer.arrayBuffer())
      if (answer.status !== 200) wrong.push(`${kind}/${digest}: status ${answer.status}`)
      else if (!body.equals(bytes)) wrong.push(`${kind}/${digest}: other bytes`)
    }
  }
  return wrong
}

async function expectStatus(expected: number, answer: Response): Promise<Response> {
  if (answer.status === expected) return answer
  throw new Error(
    `${answer.url} answered ${answer.status}, expected ${expected}: ${(await answer.text()).slice(0, 500)}`,
  )
}
