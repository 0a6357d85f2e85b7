/** All nodes of a mesh, asked for the same: one node says who they are, each answers for itself. */
import type { TopologyView } from '../admin/topology-view.ts'
import { messageOf } from '../lib/errors.ts'
import { askNode } from './node-api.ts'
import type { NodeOptions } from './node-command.ts'

export interface MeshNodes {
  readonly topology: TopologyView
  /** Base URL of a node's registry; undefined where the topology does not say. */
  endpointOf(name: string): string | undefined
}

export type Answer<T> =
  | { readonly kind: 'reached'; readonly node: string; readonly view: T }
  | { readonly kind: 'unreached'; readonly node: string; readonly reason: string }

export type AskOptions = Pick<NodeOptions, 'url' | 'tlsCa'>

/** Nodes asked side by side: sockets of a thousand nodes at once would be refused. */
const AT_ONCE = 32
/** A node answers from memory; a dead one must not hold up the others for long, milliseconds. */
const TIMEOUT_MS = 5_000

/** @throws NODE_UNREACHABLE, NODE_REFUSED where the node at `url` does not say who there is */
export async function findMesh({ url, tlsCa }: AskOptions): Promise<MeshNodes> {
  const topology = await askNode<TopologyView>(url, '/api/v1/topology', { tlsCa })
  const endpoints = new Map(topology.nodes.map(({ name, endpoint }) => [name, endpoint]))
  // The way that led here leads here: its endpoint may be of another network.
  endpoints.set(topology.node, url)
  return { topology, endpointOf: (name) => endpoints.get(name) }
}

/** Asks one node; whoever does not answer is part of the answer. */
export async function askOne<T>(
  mesh: MeshNodes,
  node: string,
  path: string,
  { tlsCa }: AskOptions,
): Promise<Answer<T>> {
  const url = mesh.endpointOf(node)
  if (url === undefined) {
    return { kind: 'unreached', node, reason: 'the topology names no endpoint of it' }
  }
  try {
    const view = await askNode<T>(url, path, { tlsCa, timeoutMs: TIMEOUT_MS })
    return { kind: 'reached', node, view }
  } catch (err) {
    return { kind: 'unreached', node, reason: messageOf(err) }
  }
}

/** In the order of the topology. */
export async function askAll<T>(
  mesh: MeshNodes,
  names: readonly string[],
  path: string,
  options: AskOptions,
): Promise<readonly Answer<T>[]> {
  const answers: Answer<T>[] = []
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE)
    const asked = some.map((name) => askOne<T>(mesh, name, path, options))
    answers.push(...(await Promise.all(asked)))
  }
  return answers
}

export function isReached<T>(
  answer: Answer<T>,
): answer is Answer<T> & { readonly kind: 'reached' } {
  return answer.kind === 'reached'
}
