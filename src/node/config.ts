/** What a node is told: flags over environment over what the topology says. Every default with its reason. */
import { z } from 'zod'
import { ANONYMOUS_RIGHTS, type AnonymousRight } from '../access/access.ts'
import { EntrepotError } from '../lib/errors.ts'
import { LOG_LEVELS, type LogLevel } from '../lib/logger.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import { identityPath } from './identity-file.ts'

export interface NodeConfig {
  readonly node: NodeName
  readonly dataDirectory: string
  readonly identityFile: string
  /** Of the registry and administration API. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Multiaddrs on which neighbours are listened for. */
  readonly meshListen: readonly string[]
  readonly anonymous: AnonymousRight
  /** Images fetched side by side. */
  readonly workers: number
  readonly logLevel: LogLevel
}

/** As typed, or from the environment. */
export interface NodeFlags {
  readonly node?: string | undefined
  readonly data?: string | undefined
  readonly identity?: string | undefined
  readonly listen?: string | undefined
  readonly meshListen?: string | undefined
  readonly anonymous?: string | undefined
  readonly workers?: string | undefined
  readonly logLevel?: string | undefined
}

/** Images fetched side by side: each moves three blobs, which fills a link; more would only share it. */
const DEFAULT_WORKERS = 4
const MAX_WORKERS = 64
const DEFAULT_LOG_LEVEL = 'info'

/** @throws CONFIG_INVALID with what was expected, for the first flag that is wrong. */
export function resolveConfig(flags: NodeFlags, topology: Topology): NodeConfig {
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
    meshListen: (flags.meshListen ?? mesh)?.split(',') ?? [],
    anonymous: oneOf('--anonymous', ANONYMOUS_RIGHTS, flags.anonymous ?? defaultRight(listen.host)),
    workers: parseWorkers(flags.workers),
    logLevel: oneOf('--log-level', LOG_LEVELS, flags.logLevel ?? DEFAULT_LOG_LEVEL),
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

function parseWorkers(text: string | undefined): number {
  const parse = z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_WORKERS)
    .safeParse(text ?? DEFAULT_WORKERS)
  if (parse.success) return parse.data
  throw invalid(`--workers must be a whole number from 1 to ${MAX_WORKERS}; got ${text}`)
}

function oneOf<T extends string>(flag: string, allowed: readonly T[], text: string): T {
  const found = allowed.find((one) => one === text)
  if (found !== undefined) return found
  throw invalid(`${flag} must be one of ${allowed.join(', ')}; got ${text}`)
}

function invalid(message: string): EntrepotError {
  return new EntrepotError('CONFIG_INVALID', message)
}
