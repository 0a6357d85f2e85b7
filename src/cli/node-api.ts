/** Asks a node's administration API. */
import { request } from 'undici'
import { EntrepotError, messageOf } from '../lib/errors.ts'

/** A node answers from memory and its index, milliseconds. */
const TIMEOUT_MS = 10_000

/** @throws CONFIG_INVALID, NODE_UNREACHABLE, NODE_REFUSED with the node's own message */
export async function askNode<T>(
  url: string,
  path: string,
  { method = 'GET' }: { readonly method?: 'GET' | 'POST' } = {},
): Promise<T> {
  if (!URL.canParse(path, url)) {
    const message = `--url must be the registry address of a node, e.g. http://127.0.0.1:5000; got ${url}`
    throw new EntrepotError('CONFIG_INVALID', message)
  }
  const answer = await request(new URL(path, url), {
    method,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  }).catch((cause: unknown) => {
    const message = `no node answers at ${url}: ${messageOf(cause)}. Is it running, and is --url its registry address?`
    throw new EntrepotError('NODE_UNREACHABLE', message, { cause })
  })
  const body = (await answer.body.json().catch(() => undefined)) as
    | (T & { readonly error?: { readonly message: string } })
    | undefined
  if (answer.statusCode < 300 && body !== undefined) return body
  const why = body?.error?.message ?? `status ${answer.statusCode}`
  throw new EntrepotError('NODE_REFUSED', `${url}${path}: ${why}`)
}
