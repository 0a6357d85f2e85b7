/** Whether this node may run a topology file in place of the one that it runs: every reason why not, for a person. */
import { runFileTests } from '../forecast/file-tests.ts'
import type { SealedTopology } from '../gossip/topology-codec.ts'
import type { Finding } from '../topology/findings.ts'
import type { Topology } from '../topology/topology.ts'
import { readTopology } from '../topology/topology-file.ts'
import { isSealed } from './topology-seal.ts'

/** What a node runs, or may run. */
export interface RunningTopology {
  readonly topology: Topology
  readonly text: string
  /** As its owner signed it; undefined for a file that an operator gave this node alone. */
  readonly sealed?: SealedTopology
}

export type TopologyVerdict =
  | { readonly kind: 'good'; readonly next: RunningTopology; readonly findings: readonly Finding[] }
  /** It runs here already. */
  | { readonly kind: 'known' }
  | {
      readonly kind: 'refused'
      readonly code: RefusalCode
      readonly reason: string
      /** Of the file, where it could be read so far. */
      readonly generation?: number
    }

export type RefusalCode =
  | 'REALM_OTHER'
  | 'GENERATION_OLD'
  | 'OWNER_UNKNOWN'
  | 'SIGNATURE_INVALID'
  | 'TOPOLOGY_INVALID'
  | 'TESTS_FAILED'
  | 'NODE_UNFIT'

export interface CheckOptions {
  /** Why this machine cannot run it, for what the file says of its own node; undefined where it can. */
  readonly unfit: (topology: Topology) => string | undefined
}

/** Findings that are told: the first ones say it. */
const MAX_FINDINGS = 10

/** A file that somebody signed, against the one that runs. The signature comes first: nothing else is done for a stranger's bytes. */
export function checkSealed(
  sealed: SealedTopology,
  running: RunningTopology,
  options: CheckOptions,
): TopologyVerdict {
  const { realm, owner } = running.topology
  if (sealed.realm !== realm) return otherRealm(sealed.realm, realm)
  if (sealed.text === running.text) return { kind: 'known' }
  if (owner === undefined) {
    return refused(
      'OWNER_UNKNOWN',
      `the topology that runs here (generation ${running.topology.generation}) names no owner, so nobody's signature counts; write metadata.owner: PEER-ID into a file of a higher generation, give it to every node as its --topology file, and send each SIGHUP or restart it`,
    )
  }
  if (sealed.signer !== owner) {
    return refused(
      'SIGNATURE_INVALID',
      `it is signed by ${sealed.signer}, but the owner in the topology that runs here is ${owner}; sign it with the owner's key`,
    )
  }
  if (!isSealed(sealed)) {
    return refused(
      'SIGNATURE_INVALID',
      'the signature does not fit the file, its realm and its generation; sign the file as it is, and send it unchanged',
    )
  }
  const verdict = checkText(sealed.text, running, options)
  if (verdict.kind !== 'good') return verdict
  const { generation } = verdict.next.topology
  if (generation !== sealed.generation) {
    return refused(
      'SIGNATURE_INVALID',
      `it is signed as generation ${sealed.generation}, but says generation ${generation}; sign it anew`,
    )
  }
  return { ...verdict, next: { ...verdict.next, sealed } }
}

/** A file that the operator of this machine gives: it needs no signature. */
export function checkText(
  text: string,
  running: RunningTopology,
  { unfit }: CheckOptions,
): TopologyVerdict {
  if (text === running.text) return { kind: 'known' }
  const { topology, findings } = readTopology(text)
  if (topology === undefined) {
    const errors = findings.filter(({ severity }) => severity === 'error')
    return refused('TOPOLOGY_INVALID', `the file is not valid: ${told(errors.map(textOf))}`)
  }
  const verdict = checkTopology({ topology, text }, findings, running.topology, unfit)
  return verdict.kind === 'refused' ? { ...verdict, generation: topology.generation } : verdict
}

function checkTopology(
  next: RunningTopology,
  findings: readonly Finding[],
  own: Topology,
  unfit: CheckOptions['unfit'],
): TopologyVerdict {
  const { topology } = next
  const { realm, generation } = topology
  if (realm !== own.realm) return otherRealm(realm, own.realm)
  if (generation === own.generation && topology.hash === own.hash) return { kind: 'known' }
  if (generation <= own.generation) {
    const which = generation === own.generation ? 'another file of that generation' : 'a newer one'
    return refused(
      'GENERATION_OLD',
      `it is generation ${generation}, but this node runs generation ${own.generation}, ${which}; write metadata.generation: ${own.generation + 1} or higher`,
    )
  }
  const reason = unfit(topology)
  if (reason !== undefined) return refused('NODE_UNFIT', reason)
  const failed = runFileTests(topology, { lints: findings }).filter(({ ok }) => !ok)
  if (failed.length > 0) {
    const lines = failed.map(({ name, reason: why }) => `${name}: ${why}`)
    return refused('TESTS_FAILED', `tests of the file fail: ${told(lines)}`)
  }
  return { kind: 'good', next, findings }
}

function otherRealm(came: string, own: string): TopologyVerdict {
  const [theirs, ours] = [JSON.stringify(came), JSON.stringify(own)]
  return refused('REALM_OTHER', `it is of realm ${theirs}, this node belongs to ${ours}`)
}

function refused(code: RefusalCode, reason: string): TopologyVerdict {
  return { kind: 'refused', code, reason }
}

function textOf({ line, column, path, message }: Finding): string {
  return `${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
}

function told(lines: readonly string[]): string {
  const more = lines.length - MAX_FINDINGS
  const some = lines.slice(0, MAX_FINDINGS).join('; ')
  return more > 0 ? `${some}; and ${more} more` : some
}
