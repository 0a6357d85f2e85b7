/** Asks a node's administration API. */
import { Agent, type Dispatcher, request } from 'undici'
import { authoritiesIn, trusting } from '../lib/certificate.ts'
import { codeOf, EntrepotError, messageOf } from '../lib/errors.ts'
import { readFiles } from '../lib/watched-files.ts'

/** A node answers from memory and its index, milliseconds. */
const TIMEOUT_MS = 10_000

export interface AskOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** File of authorities to believe beside the system's. */
  readonly tlsCa?: string | undefined
  readonly timeoutMs?: number
  /** Sent as JSON. */
  readonly body?: object
}

/** @throws CONFIG_INVALID, TLS_INVALID, NODE_UNREACHABLE, NODE_REFUSED with the node's own message */
export async function askNode<T>(
  url: string,
  path: string,
  { method = 'GET', tlsCa, timeoutMs = TIMEOUT_MS, body: sent }: AskOptions = {},
): Promise<T> {
  const answer = await reachNode(url, path, tlsCa, {
    method,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    ...(sent === undefined
      ? {}
      : { body: JSON.stringify(sent), headers: { 'content-type': 'application/json' } }),
  })
  const body = (await answer.body.json().catch(() => undefined)) as
    | (T & { readonly error?: { readonly message: string } })
    | undefined
  if (answer.statusCode < 300 && body !== undefined) return body
  // What a node says names what was asked for; without a word of its own the path does.
  const why = body?.error?.message ?? `${path} answered status ${answer.statusCode}`
  throw new EntrepotError('NODE_REFUSED', `${url}: ${why}`)
}

/** Rows of a list that comes in pages, all of them. `path` has a query. */
export async function askPages<T>(
  url: string,
  path: string,
  rowsOf: (page: T) => readonly unknown[],
  options: AskOptions = {},
): Promise<readonly unknown[]> {
  const rows: unknown[] = []
  for (let last: string | undefined = ''; last !== undefined; ) {
    const from: string = last === '' ? path : `${path}&last=${encodeURIComponent(last)}`
    const page: T & { readonly next?: string } = await askNode(url, from, options)
    rows.push(...rowsOf(page))
    last = page.next
  }
  return rows
}

/** The answer as it comes, whatever its status. @throws CONFIG_INVALID, TLS_INVALID, NODE_UNREACHABLE */
export async function reachNode(
  url: string,
  path: string,
  tlsCa: string | undefined,
  options: NonNullable<Parameters<typeof request>[1]>,
): Promise<Dispatcher.ResponseData<unknown>> {
  if (!URL.canParse(path, url)) {
    const message = `--url must be the registry address of a node, e.g. http://127.0.0.1:5000; got ${url}`
    throw new EntrepotError('CONFIG_INVALID', message)
  }
  const secure = url.startsWith('https:') ? { dispatcher: await agentTrusting(tlsCa) } : {}
  const to = new URL(path, url)
  return request(to, { ...options, ...secure }).catch((cause: unknown) => {
    const message = `no node answers at ${url}: ${reasonOf(cause)}. ${adviceOn(cause)}`
    throw new EntrepotError('NODE_UNREACHABLE', message, { cause })
  })
}

async function agentTrusting(tlsCa: string | undefined): Promise<Agent> {
  const files = await readFiles(tlsCa === undefined ? [] : [tlsCa])
  return new Agent({ connect: { secureContext: trusting(files.flatMap(authoritiesIn)) } })
}

/** Without the advice of Node.js, which names options of its own. */
function reasonOf(cause: unknown): string {
  return messageOf(cause).replace(/; if the root CA.*/, '')
}

/** Codes of OpenSSL and Node.js for a certificate that is not accepted. */
const OF_CERTIFICATES = /CERT|SELF_SIGNED|UNABLE_TO|_ISSUER|INVALID_CA/

function adviceOn(cause: unknown): string {
  if (!OF_CERTIFICATES.test(codeOf(cause) ?? '')) {
    return 'Is it running, and is that the address of its registry?'
  }
  return 'Name the authority of its certificate, or the certificate itself where it is self-signed, with --tls-ca FILE'
}
