/** Pushes and pulls the demo image through the registry API, as any client would. */
import { request } from 'undici'
import { EntrepotError } from '../lib/errors.ts'
import { digestOf } from '../oci/digest.ts'
import type { DemoBlob, DemoImage } from './demo-image.ts'

/** @throws PUSH_FAILED with the node's answer */
export async function pushDemoImage(
  url: string,
  repository: string,
  tag: string,
  image: DemoImage,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  for (const blob of image.blobs) {
    const path = `${url}/v2/${repository}/blobs/uploads/?digest=${blob.digest}`
    await send('POST', path, blob, 'application/octet-stream', signal)
  }
  await send(
    'PUT',
    `${url}/v2/${repository}/manifests/${tag}`,
    image.manifest,
    image.manifest.mediaType,
    signal,
  )
}

/** Pulls every part and compares it byte for byte. @returns the bytes compared. @throws PULL_FAILED, IMAGE_DIFFERS */
export async function comparePulled(
  url: string,
  repository: string,
  tag: string,
  image: DemoImage,
  { signal }: { readonly signal: AbortSignal },
): Promise<number> {
  const parts: readonly (readonly [string, DemoBlob])[] = [
    [`manifests/${tag}`, image.manifest],
    ...image.blobs.map((blob) => [`blobs/${blob.digest}`, blob] as const),
  ]
  let bytes = 0
  for (const [path, expected] of parts) {
    const answer = await request(`${url}/v2/${repository}/${path}`, {
      headers: { accept: expected.mediaType },
      signal,
    })
    const body = Buffer.from(await answer.body.arrayBuffer())
    if (answer.statusCode !== 200) {
      throw new EntrepotError(
        'PULL_FAILED',
        `${url} answered ${answer.statusCode} for ${path}: ${body.toString().slice(0, 200)}`,
      )
    }
    if (!body.equals(expected.bytes)) {
      throw new EntrepotError(
        'IMAGE_DIFFERS',
        `${path} from ${url} is ${digestOf(body)}, expected ${expected.digest}`,
      )
    }
    bytes += body.length
  }
  return bytes
}

async function send(
  method: 'POST' | 'PUT',
  url: string,
  { bytes }: DemoBlob,
  contentType: string,
  signal: AbortSignal,
): Promise<void> {
  const answer = await request(url, {
    method,
    body: bytes,
    headers: { 'content-type': contentType },
    signal,
  })
  const text = await answer.body.text()
  if (answer.statusCode === 201) return
  throw new EntrepotError(
    'PUSH_FAILED',
    `${method} ${url} answered ${answer.statusCode}: ${text.slice(0, 300)}`,
  )
}
