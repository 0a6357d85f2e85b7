/** Pushes over one connection, as clients do: POST and PUT, with a PATCH between them for large blobs. */
import { Client } from 'undici'
import type { TestBlob, TestManifest } from '../test/helpers/images.ts'

export interface Pusher extends AsyncDisposable {
  /** POST, then PUT with the bytes. */
  blob(blob: TestBlob): Promise<void>
  /** POST, PATCH with the bytes, PUT without any: how docker sends a layer. */
  layer(blob: TestBlob): Promise<void>
  /** Its blobs, then the manifest under the tag. */
  image(image: TestManifest, tag: string): Promise<void>
  /** The manifest of an image that is there, under one more tag. */
  tag(image: TestManifest, tag: string): Promise<void>
}

/** Silence for so long is a failure, milliseconds: a slow disk makes a large blob durable in less. */
const TIMEOUT_MS = 120_000

export function openPusher(url: string, repository: string): Pusher {
  const client = new Client(url, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })

  /** @returns where to go on. @throws when the answer has another status */
  async function send(
    method: 'POST' | 'PATCH' | 'PUT',
    path: string,
    status: number,
    body?: TestBlob,
  ): Promise<URL> {
    const answer = await client.request({
      method,
      path,
      headers: { 'content-type': body?.mediaType ?? 'application/octet-stream' },
      body: body === undefined ? '' : body.bytes,
    })
    const text = await answer.body.text()
    if (answer.statusCode !== status) {
      throw new Error(`${method} ${path}: expected ${status}, got ${answer.statusCode}: ${text}`)
    }
    return new URL(String(answer.headers.location ?? path), url)
  }

  const begin = () => send('POST', `/v2/${repository}/blobs/uploads/`, 202)

  async function finish(location: URL, blob: TestBlob, body?: TestBlob): Promise<void> {
    location.searchParams.set('digest', blob.digest)
    await send('PUT', `${location.pathname}${location.search}`, 201, body)
  }

  const put = async (image: TestManifest, tag: string) => {
    await send('PUT', `/v2/${repository}/manifests/${tag}`, 201, image)
  }
  const blob = async (one: TestBlob) => {
    const raw = { ...one, mediaType: 'application/octet-stream' }
    await finish(await begin(), raw, raw)
  }
  return {
    blob,
    layer: async (one) => {
      const raw = { ...one, mediaType: 'application/octet-stream' }
      const session = await begin()
      const next = await send('PATCH', `${session.pathname}${session.search}`, 202, raw)
      await finish(next, raw)
    },
    image: async (image, tag) => {
      for (const part of image.blobs) await blob(part)
      await put(image, tag)
    },
    tag: put,
    [Symbol.asyncDispose]: () => client.close(),
  }
}
