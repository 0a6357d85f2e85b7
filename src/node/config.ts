/** What a node is told: flags over environment over what the topology says. Every default with its reason. */
import { z } from 'zod'
import { ANONYMOUS_RIGHTS, type AnonymousRight } from '../access/access.ts'
import { parseDuration } from '../lib/duration.ts'
import { EntrepotError } from '../lib/errors.ts'
import { LOG_LEVELS, type LogLevel } from '../lib/logger.ts'
import type { Graces } from '../storage/collected-item.ts'
import { SPARSE_POLICIES, type SparsePolicy } from '../storage/content-writer.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { type Bounds, resolveBounds } from './bounds.ts'
import { identityPath } from './identity-file.ts'
import type { TlsPaths } from './tls-files.ts'

export interface NodeConfig {
  readonly node: NodeName
  readonly dataDirectory: string
  readonly identityFile: string
  /** Of the registry and administration API. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Files of the certificate that the registry serves; without it, it speaks plain HTTP. */
  readonly tls?: TlsPaths
  /** File of authorities to believe beside the system's when other nodes are asked. */
  readonly tlsCa?: string
  /** Multiaddrs on which neighbours are listened for. */
  readonly meshListen: readonly string[]
  readonly anonymous: AnonymousRight
  /** Images fetched side by side. */
  readonly workers: number
  /** Threads that serve blobs beside the main one. */
  readonly readers: number
  /** How long content stays that nothing needs. */
  readonly graces: Graces
  /** Whether pushed manifests may lack blobs and children. */
  readonly sparse: SparsePolicy
  /** `host[:port]` in lower case: what clients call this mesh, beside the endpoints of its nodes. */
  readonly names: readonly string[]
  readonly logLevel: LogLevel
  readonly bounds: Bounds
}

/** As typed, or from the environment. */
export interface NodeFlags {
  readonly node?: string | undefined
  readonly data?: string | undefined
  readonly identity?: string | undefined
  readonly listen?: string | undefined
  readonly tlsCert?: string | undefined
  readonly tlsKey?: string | undefined
  readonly tlsCa?: string | undefined
  readonly meshListen?: string | undefined
  readonly anonymous?: string | undefined
  readonly workers?: string | undefined
  readonly readers?: string | undefined
  readonly sparse?: string | undefined
  readonly names?: string | undefined
  readonly keepSuperseded?: string | undefined
  readonly keepUnused?: string | undefined
  readonly logLevel?: string | undefined
  /** `NAME=VALUE`, see bounds.ts. */
  readonly limit?: readonly string[] | undefined
}

/** Images fetched side by side: each moves three blobs, which fills a link; more would only share it. */
const DEFAULT_WORKERS = 4
/** A reader pays where processors are idle while the main thread is not: see docs/decisions/0022-readers.md. */
const DEFAULT_READERS = 0
/** Of workers, and of readers: beyond this a machine has no processors for them. */
const MAX_THREADS = 64
/** Clients pin digests: whoever deploys one has a week to roll it out, or back. */
const DEFAULT_KEEP_SUPERSEDED = '7d'
/** A client that pauses a push for a night goes on where it was. */
const DEFAULT_KEEP_UNUSED = '24h'
const DEFAULT_LOG_LEVEL = 'info'

/** @throws CONFIG_INVALID with what was expected, for the first flag that is wrong. */
export function resolveConfig(
  flags: NodeFlags,
  topology: Topology,
  environment: Readonly<Record<string, string | undefined>> = {},
): NodeConfig {
  const names = [...topology.nodes.keys()]
  const node = names.find((name) => name === flags.node)
  if (node === undefined) {
    throw invalid(`--node must be one of ${names.join(', ')}; got ${flags.node ?? 'nothing'}`)
  }
  if (flags.data === undefined)
    throw invalid('--data DIR is needed: where the node keeps its content')
  const { endpoint, mesh } = topology.nodes.get(node) ?? {}
  const listen = parseListen(flags.listen ?? hostAndPort(endpoint))
  return {
    node,
    dataDirectory: flags.data,
    identityFile: flags.identity ?? identityPath(flags.data),
    listen,
    ...parseTls(flags, endpoint),
    ...(flags.tlsCa === undefined ? {} : { tlsCa: flags.tlsCa }),
    meshListen: (flags.meshListen ?? mesh)?.split(',') ?? [],
    anonymous: oneOf('--anonymous', ANONYMOUS_RIGHTS, flags.anonymous ?? defaultRight(listen.host)),
    workers: wholeNumber('--workers', { text: flags.workers, or: DEFAULT_WORKERS, least: 1 }),
    readers: wholeNumber('--readers', { text: flags.readers, or: DEFAULT_READERS, least: 0 }),
    graces: parseGraces(flags),
    sparse: oneOf('--sparse', SPARSE_POLICIES, flags.sparse ?? 'refuse'),
    names: parseNames(flags.names),
    logLevel: oneOf('--log-level', LOG_LEVELS, flags.logLevel ?? DEFAULT_LOG_LEVEL),
    bounds: resolveBounds(flags.limit ?? [], environment),
  }
}

/** Without accounts nobody but the machine itself may push. */
function defaultRight(host: string): AnonymousRight {
  return isLoopbackHost(host) ? 'push' : 'pull'
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function hostAndPort(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  const { hostname, port, protocol } = new URL(endpoint)
  return `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`
}

function parseListen(text: string | undefined): NodeConfig['listen'] {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text ?? '')
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host !== undefined && port <= 65_535) return { host, port }
  throw invalid(
    `--listen must be HOST:PORT, e.g. 0.0.0.0:5000; got ${text ?? 'nothing, and the topology gives the node no endpoint'}`,
  )
}

function parseTls(
  { tlsCert: cert, tlsKey: key }: NodeFlags,
  endpoint: string | undefined,
): Pick<NodeConfig, 'tls'> {
  if (cert === undefined && key === undefined) return {}
  if (cert === undefined || key === undefined) {
    const [missing, given] = key === undefined ? ['key', 'cert'] : ['cert', 'key']
    throw invalid(`--tls-${missing} FILE is needed with --tls-${given}: a certificate and its key`)
  }
  if (endpoint?.startsWith('http:') === true) {
    const https = endpoint.replace('http:', 'https:')
    throw invalid(
      `with --tls-cert the node speaks TLS, but its endpoint in the topology is ${endpoint}; write endpoint: ${https}`,
    )
  }
  return { tls: { cert, key } }
}

export function parseGraces({
  keepSuperseded = DEFAULT_KEEP_SUPERSEDED,
  keepUnused = DEFAULT_KEEP_UNUSED,
}: Pick<NodeFlags, 'keepSuperseded' | 'keepUnused'>): Graces {
  return {
    supersededMs: parseKeep('--keep-superseded', keepSuperseded),
    unusedMs: parseKeep('--keep-unused', keepUnused),
  }
}

function parseKeep(flag: string, text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw invalid(
    `${flag} must be a whole number with a unit of d, h, m, s or ms, e.g. 7d; got ${text}`,
  )
}

const NAME = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/

function parseNames(text: string | undefined): readonly string[] {
  const names = (text?.split(',') ?? []).map((name) => name.trim().toLowerCase())
  const wrong = names.find((name) => !NAME.test(name))
  if (wrong === undefined) return names
  throw invalid(
    `--names must be host[:port] with commas between, e.g. registry.example.com; got "${wrong}"`,
  )
}

function wholeNumber(
  flag: string,
  {
    text,
    or,
    least,
  }: { readonly text: string | undefined; readonly or: number; readonly least: number },
): number {
  const parse = z.coerce
    .number()
    .int()
    .min(least)
    .max(MAX_THREADS)
    .safeParse(text ?? or)
  if (parse.success) return parse.data
  throw invalid(`${flag} must be a whole number from ${least} to ${MAX_THREADS}; got ${text}`)
}

function oneOf<T extends string>(flag: string, allowed: readonly T[], text: string): T {
  const found = allowed.find((one) => one === text)
  if (found !== undefined) return found
  throw invalid(`${flag} must be one of ${allowed.join(', ')}; got ${text}`)
}

function invalid(message: string): EntrepotError {
  return new EntrepotError('CONFIG_INVALID', message)
}
