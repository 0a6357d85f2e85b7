/** Who may do what: the one question that every route asks. Accounts and roles come behind the same question. */
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'

/** Who sent a request. */
export type Caller =
  | { readonly kind: 'anonymous'; readonly address: string; readonly isLoopback: boolean }
  | { readonly kind: 'node'; readonly name: NodeName }

export type Action = 'pull' | 'push' | 'delete'

/** What clients without an account may do. */
export const ANONYMOUS_RIGHTS = ['none', 'pull', 'push'] as const
export type AnonymousRight = (typeof ANONYMOUS_RIGHTS)[number]

export type Verdict =
  | { readonly kind: 'allowed' }
  /** `unauthorized`: credentials could change the answer. */
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'denied'; readonly reason: string }

export interface Access {
  /** The caller behind a request. @returns undefined when a bearer token was sent that nobody here gave out. */
  identify(request: {
    readonly authorization?: string | undefined
    readonly address: string
  }): Caller | undefined
  may(caller: Caller, action: Action, repository: RepositoryName): Verdict
  /** Whether the caller may list repositories and tags across the registry (`_catalog`). Nodes see what they may pull. */
  mayList(caller: Caller): Verdict
  /** Whether the caller may use routes of the administration API that change something. */
  mayAdminister(caller: Caller): Verdict
  /** A new random token for a neighbour; its older ones stay valid until two newer ones exist. */
  issueToken(node: NodeName): string
}
