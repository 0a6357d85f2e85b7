/** Pushes and pulls over the registry API, as clients do it. */
import { digestOf } from '../../src/oci/digest.ts'
import { manifestsOf, type TestBlob, type TestManifest } from './images.ts'

/** Pushes blobs, children and the image; the root under `reference`, children by digest. */
export async function pushImage(
  url: string,
  repository: string,
  reference: string,
  image: TestManifest,
): Promise<void> {
  for (const manifest of manifestsOf(image)) {
    for (const blob of manifest.blobs) await pushBlob(url, repository, blob)
    await putManifest(url, repository, manifest === image ? reference : manifest.digest, manifest)
  }
}

/** In one request; in two at registries that answer the first one with a session, as the specification lets them. */
export async function pushBlob(url: string, repository: string, blob: TestBlob): Promise<void> {
  const headers = { 'content-type': 'application/octet-stream' }
  const body = Uint8Array.from(blob.bytes)
  const begin = `${url}/v2/${repository}/blobs/uploads/?digest=${blob.digest}`
  const answer = await fetch(begin, { method: 'POST', headers, body })
  if (answer.status !== 202) return await expectStatus(answer, 201)
  const session = new URL(answer.headers.get('location') ?? '', url)
  session.searchParams.set('digest', blob.digest)
  await expectStatus(await fetch(session, { method: 'PUT', headers, body }), 201)
}

export async function putManifest(
  url: string,
  repository: string,
  reference: string,
  manifest: TestBlob,
): Promise<void> {
  const answer = await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: Uint8Array.from(manifest.bytes),
  })
  await expectStatus(answer, 201)
}

/** The digest that a tag shows; undefined when there is none. */
export async function digestAt(
  url: string,
  repository: string,
  reference: string,
): Promise<string | undefined> {
  const answer = await fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD' })
  return answer.status === 200
    ? (answer.headers.get('docker-content-digest') ?? undefined)
    : undefined
}

/** Pulls every part of an image and compares the bytes. @throws naming the first part that differs */
export async function comparePull(
  url: string,
  repository: string,
  reference: string,
  image: TestManifest,
): Promise<void> {
  for (const manifest of manifestsOf(image)) {
    const by = manifest === image ? reference : manifest.digest
    const headers = { accept: manifest.mediaType }
    const answer = await fetch(`${url}/v2/${repository}/manifests/${by}`, { headers })
    await compare(answer, manifest, `${url} ${repository} manifest ${by}`)
    if (answer.headers.get('content-type') !== manifest.mediaType) {
      throw new Error(
        `${by} has type ${answer.headers.get('content-type')}, expected ${manifest.mediaType}`,
      )
    }
    for (const blob of manifest.blobs) {
      const part = await fetch(`${url}/v2/${repository}/blobs/${blob.digest}`)
      await compare(part, blob, `${url} ${repository} blob ${blob.digest}`)
    }
  }
}

async function compare(answer: Response, expected: TestBlob, what: string): Promise<void> {
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (answer.status !== 200)
    throw new Error(`${what}: ${answer.status} ${bytes.toString().slice(0, 300)}`)
  if (!bytes.equals(expected.bytes)) {
    throw new Error(`${what}: got ${digestOf(bytes)}, expected ${expected.digest}`)
  }
}

async function expectStatus(answer: Response, status: number): Promise<void> {
  const text = await answer.text()
  if (answer.status !== status) throw new Error(`expected ${status}, got ${answer.status}: ${text}`)
}

export interface ErrorBody {
  readonly code: string
  readonly message: string
}

/** The errors of a refused request, as the specification shapes them. */
export async function errorsOf(answer: Response): Promise<readonly ErrorBody[]> {
  const { errors } = (await answer.json()) as { readonly errors: readonly ErrorBody[] }
  return errors
}
