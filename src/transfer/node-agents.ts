/** Connections to the registries of nodes, kept for the next request; over TLS each proves which node answers. */
import type { SecureContext } from 'node:tls'
import { Agent } from 'undici'
import type { NodeName } from '../topology/topology.ts'
import { createNodeConnector } from './node-connector.ts'

export interface NodeAgents extends AsyncDisposable {
  to(node: NodeName): Agent
  /** Takes no more requests; resolves when those under way have ended. Disposing cuts them. */
  end(): Promise<void>
}

export interface NodeAgentsDeps {
  /** Of the keys that the node announced over the mesh; undefined when it announced none. */
  readonly fingerprints: (node: NodeName) => readonly string[] | undefined
  /** Asks the node over the mesh what it serves now; `fingerprints` knows afterwards. */
  readonly greetAgain: (node: NodeName) => Promise<void>
  /** Authorities to believe; those of Node.js where it gives none. */
  readonly trust: () => SecureContext | undefined
}

export interface NodeAgentsOptions {
  /** To one node. */
  readonly connections: number
  /** Milliseconds until the headers of an answer. */
  readonly headersTimeout: number
  /** Milliseconds without a byte of a body. */
  readonly bodyTimeout: number
}

const CONNECT_TIMEOUT_MS = 5_000

export function createNodeAgents(
  { fingerprints, greetAgain, trust }: NodeAgentsDeps,
  options: NodeAgentsOptions,
): NodeAgents {
  /** One a node, no more than the topology has: what was accepted as one node must not serve for another. */
  const agents = new Map<NodeName, Agent>()
  return {
    to: (node) => {
      const known = agents.get(node)
      if (known !== undefined) return known
      const connect = createNodeConnector(
        {
          node,
          fingerprints: () => fingerprints(node),
          greetAgain: () => greetAgain(node),
          trust,
        },
        { timeoutMs: CONNECT_TIMEOUT_MS },
      )
      const agent = new Agent({ ...options, connect })
      agents.set(node, agent)
      return agent
    },
    end: async () => {
      await Promise.all([...agents.values()].map((agent) => agent.close()))
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
    },
  }
}
