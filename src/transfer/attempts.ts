/** What came of asking holders: one attempt each, and what they mean together. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName } from '../topology/topology.ts'

export interface Attempt {
  readonly node: NodeName
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly outcome: 'absent' | 'unreachable' | 'corrupt'
  readonly reason: string
}

export type Failure =
  /** Nobody to ask, or nobody has it: a holder has to come first. */
  | { readonly kind: 'no-holder'; readonly reason: string; readonly askedAll: boolean }
  /** Somebody may have it, but it did not come: worth another try soon. */
  | { readonly kind: 'failed'; readonly reason: string }

export function summarize(attempts: readonly Attempt[]): Failure {
  if (attempts.length === 0) {
    return { kind: 'no-holder', reason: 'no source is connected', askedAll: false }
  }
  const reason = attempts.map(({ node, reason: why }) => `${node}: ${why}`).join('; ')
  const nowhere = attempts.every(({ outcome }) => outcome === 'absent')
  return nowhere ? { kind: 'no-holder', reason, askedAll: true } : { kind: 'failed', reason }
}
