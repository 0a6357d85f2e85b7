/** What came of asking holders: one attempt each, and what they mean together. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { NodeName, Platforms } from '../topology/topology.ts'

export interface Attempt {
  readonly node: NodeName
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly outcome: 'absent' | 'unreachable' | 'corrupt' | 'closed'
  readonly reason: string
  /** When a closed link opens, milliseconds since the Unix epoch; Infinity where it never does. */
  readonly untilMs?: number
  /** Of an index: for which it was asked. */
  readonly platforms?: Platforms
}

export type Failure =
  /** Nobody to ask, or nobody has it: a holder has to come first. */
  | { readonly kind: 'no-holder'; readonly reason: string; readonly askedAll: boolean }
  /** Somebody may have it, but it did not come: worth another try soon, or at `untilMs` (since the Unix epoch) where links are closed. */
  | { readonly kind: 'failed'; readonly reason: string; readonly untilMs?: number }

export function summarize(attempts: readonly Attempt[]): Failure {
  if (attempts.length === 0) {
    return { kind: 'no-holder', reason: 'no source is connected', askedAll: false }
  }
  const reason = attempts.map(({ node, reason: why }) => `${node}: ${why}`).join('; ')
  const nowhere = attempts.every(({ outcome }) => outcome === 'absent')
  if (nowhere) return { kind: 'no-holder', reason, askedAll: true }
  const isClosed = attempts.every(({ outcome }) => outcome === 'absent' || outcome === 'closed')
  if (!isClosed) return { kind: 'failed', reason }
  const opens = attempts.map(({ untilMs = Number.POSITIVE_INFINITY }) => untilMs)
  return { kind: 'failed', reason, untilMs: Math.min(...opens) }
}
