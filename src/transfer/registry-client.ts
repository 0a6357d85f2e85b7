/** Asks another node's registry over HTTP, with the token that it handed out over the mesh. */
import type { SecureContext } from 'node:tls'
import { errors, request } from 'undici'
import { messageOf } from '../lib/errors.ts'
import { lendChunks } from '../lib/lent-chunks.ts'
import { readAtMost } from '../lib/read-at-most.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { MANIFEST_MEDIA_TYPES, MAX_MANIFEST_BYTES } from '../oci/manifest.ts'
import { ASKING_HEADER, LOOK_HEADER, NAMED_BY_HEADER } from '../registry/request.ts'
import type { NodeName } from '../topology/topology.ts'
import { createNodeAgents } from './node-agents.ts'
import type { Asking, Refused, RegistrySource } from './registry-source.ts'

export interface Endpoint {
  /** Base URL without a trailing slash. */
  readonly endpoint: string
  readonly token?: string | undefined
  /** Of the keys that the node announced for TLS. */
  readonly fingerprints?: readonly string[] | undefined
}

export interface RegistryClientDeps {
  /** Where a node's registry is, and the token for it; undefined while it is not connected. */
  readonly connect: (node: NodeName) => Endpoint | undefined
  /** Asks the node over the mesh what it serves now; `connect` knows afterwards. */
  readonly greetAgain?: (node: NodeName) => Promise<void>
  /** Authorities to believe; those of Node.js by default. */
  readonly trust?: () => SecureContext
}

/** Connections to one node: enough for the workers' blobs side by side; TCP slow start makes more not faster. */
const CONNECTIONS_PER_NODE = 16
/** Answer headers must come within this, milliseconds: a node answers from its index, so silence is a fault. */
const HEADERS_TIMEOUT_MS = 15_000
/** No byte of a body for so long, milliseconds: the holder or the link is gone. There is no total timeout. */
const IDLE_TIMEOUT_MS = 30_000

export function createRegistryClient({
  connect,
  greetAgain = async () => {},
  trust,
}: RegistryClientDeps): RegistrySource & AsyncDisposable {
  const agents = createNodeAgents(
    { fingerprints: (node) => connect(node)?.fingerprints, greetAgain, trust: () => trust?.() },
    {
      connections: CONNECTIONS_PER_NODE,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: IDLE_TIMEOUT_MS,
    },
  )

  async function get(
    node: NodeName,
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ) {
    const to = connect(node)
    if (to === undefined) return unreachable('not connected')
    const authorization = to.token === undefined ? {} : { authorization: `Bearer ${to.token}` }
    try {
      const url = `${to.endpoint}${path}`
      const answer = await request(url, {
        dispatcher: agents.to(node),
        signal,
        headers: { ...headers, ...authorization },
      })
      if (answer.statusCode === 200 || answer.statusCode === 206) return answer
      await answer.body.dump({ limit: 65_536, signal })
      if (answer.statusCode === 404) return { kind: 'absent' } as const
      return unreachable(`GET ${path} answered ${answer.statusCode}`)
    } catch (err) {
      signal.throwIfAborted()
      const isSilent = err instanceof errors.HeadersTimeoutError
      return unreachable(isSilent ? `no answer within ${HEADERS_TIMEOUT_MS} ms` : messageOf(err))
    }
  }

  return {
    manifest: async (node, repository, digest, { signal, asking, isLook = false }) => {
      const accept = MANIFEST_MEDIA_TYPES.join(', ')
      const path = `/v2/${repository}/manifests/${digest}`
      const look: Record<string, string> = isLook ? { [LOOK_HEADER]: 'true' } : {}
      const answer = await get(node, path, { accept, ...look, ...askingHeader(asking) }, signal)
      if ('kind' in answer) return answer
      try {
        const bytes = await readAtMost(answer.body, MAX_MANIFEST_BYTES)
        if (bytes === undefined) {
          return unreachable(`manifest is larger than ${MAX_MANIFEST_BYTES} bytes`)
        }
        const mediaType = answer.headers['content-type']
        const namedBy = digestsIn(answer.headers[NAMED_BY_HEADER])
        return { kind: 'manifest', bytes, mediaType: String(mediaType ?? '') || undefined, namedBy }
      } catch (err) {
        signal.throwIfAborted()
        return unreachable(messageOf(err))
      }
    },
    blob: async (node, repository, digest, { offset, end, signal, asking }) => {
      const last = end === undefined ? '' : end - 1
      const isPart = offset > 0 || end !== undefined
      const range: Record<string, string> = isPart ? { range: `bytes=${offset}-${last}` } : {}
      const answer = await get(
        node,
        `/v2/${repository}/blobs/${digest}`,
        { ...range, ...askingHeader(asking) },
        signal,
      )
      if ('kind' in answer) return answer
      const from = answer.statusCode === 200 ? 0 : startOf(answer.headers['content-range'])
      if (from === 0 || from === offset)
        return { kind: 'blob', offset: from, body: lendChunks(answer.body) }
      answer.body.destroy()
      return unreachable(
        `asked for bytes from ${offset}, got ${String(answer.headers['content-range'])}`,
      )
    },
    [Symbol.asyncDispose]: () => agents[Symbol.asyncDispose](),
  }
}

function askingHeader(asking: Asking = []): Record<string, string> {
  return asking.length === 0 ? {} : { [ASKING_HEADER]: asking.join(',') }
}

/** Told of one manifest; a node names fewer. */
const MAX_NAMED = 32

function digestsIn(header: string | string[] | undefined): readonly Digest[] {
  const texts = String(header ?? '').split(',', MAX_NAMED)
  return texts.map(parseDigest).filter((one) => one !== undefined)
}

function unreachable(reason: string): Extract<Refused, { readonly kind: 'unreachable' }> {
  return { kind: 'unreachable', reason }
}

/** The first byte of `bytes 0-99/200`; -1 when there is none. */
function startOf(contentRange: string | string[] | undefined): number {
  const start = /^bytes (\d+)-/.exec(String(contentRange ?? ''))?.[1]
  return start === undefined ? -1 : Number(start)
}
