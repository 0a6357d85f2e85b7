/** Access for now: anonymous clients by one switch, mesh nodes by the tokens that their hello brought them. */
import { hash } from 'node:crypto'
import { type Random, randomText } from '../lib/random.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Access, AnonymousRight, Caller, Verdict } from './access.ts'

export interface AccessDeps {
  /** Whether the links between this node and another let something of the repository through to it. */
  readonly nodeMayRead: (node: NodeName, repository: RepositoryName) => boolean
  readonly random: Random
}

export interface AccessOptions {
  readonly anonymous: AnonymousRight
}

/** Random bytes of a token: nobody guesses 256 bits. */
const TOKEN_BYTES = 32
/** Tokens of a node that are valid: the newest, and the one that a transfer under way may still use. */
const TOKENS_PER_NODE = 2

const ALLOWED: Verdict = { kind: 'allowed' }
const UNAUTHORIZED: Verdict = { kind: 'unauthorized' }
const denied = (reason: string): Verdict => ({ kind: 'denied', reason })

export function createAccess(
  { nodeMayRead, random }: AccessDeps,
  { anonymous }: AccessOptions,
): Access {
  /** Hashes, newest last. */
  const issued = new Map<NodeName, readonly string[]>()
  /** By hash: how long it takes to find one says nothing of it, and does not grow with the nodes. */
  const nodes = new Map<string, NodeName>()

  function anonymousMay(action: 'pull' | 'push' | 'delete'): Verdict {
    if (anonymous === 'push' || (anonymous === 'pull' && action === 'pull')) return ALLOWED
    return UNAUTHORIZED
  }

  return {
    identify: ({ authorization, address }): Caller | undefined => {
      if (authorization === undefined) {
        return { kind: 'anonymous', address, isLoopback: isLoopback(address) }
      }
      const token = /^Bearer (\S+)$/i.exec(authorization)?.[1]
      const name = token === undefined ? undefined : nodes.get(hashOf(token))
      return name === undefined ? undefined : { kind: 'node', name }
    },
    may: (caller, action, repository) => {
      if (caller.kind === 'anonymous') return anonymousMay(action)
      if (action !== 'pull') return denied('nodes pull from each other, they do not push')
      if (nodeMayRead(caller.name, repository)) return ALLOWED
      return denied(`no link lets ${repository} through to node ${caller.name}`)
    },
    mayList: (caller) => (caller.kind === 'anonymous' ? anonymousMay('pull') : ALLOWED),
    mayAdminister: (caller) => {
      if (caller.kind === 'anonymous' && caller.isLoopback) return ALLOWED
      return denied(
        'until there are accounts, only clients on the node itself (loopback) may do this',
      )
    },
    issueToken: (node) => {
      const token = randomText(random, TOKEN_BYTES)
      const hashes = [...(issued.get(node) ?? []), hashOf(token)]
      for (const old of hashes.slice(0, -TOKENS_PER_NODE)) nodes.delete(old)
      issued.set(node, hashes.slice(-TOKENS_PER_NODE))
      nodes.set(hashOf(token), node)
      return token
    },
  }
}

function hashOf(token: string): string {
  return hash('sha256', token)
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address)
}
