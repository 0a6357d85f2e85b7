/** What a node knows, holds and plans for a reference, who won and lost, and who is behind: as a person reads it. */
import type { Digest } from '../oci/digest.ts'
import type { Holders } from '../peers/holders.ts'
import { createLoserTags } from '../planner/loser-tags.ts'
import type { Planner } from '../planner/planner.ts'
import { visibleOf } from '../record/history.ts'
import { conflictOf } from '../record/losers.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import { msOfTime, type Time } from '../record/time.ts'
import type { Entry } from '../storage/ledger.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { RecordsView, RecordView, StatusView } from './views.ts'

export interface RecordsViewDeps {
  readonly topology: Topology
  readonly planner: Planner
  readonly insight: { readonly holders: Pick<Holders, 'of'> }
}

export async function viewRecords(entry: Entry, deps: RecordsViewDeps): Promise<RecordsView> {
  const { key, history, held } = entry
  const visible = visibleOf(history)?.record.digest
  const plan = await deps.planner.plan(key)
  return {
    ...key,
    known: viewHistory(entry, deps),
    ...(visible === undefined ? {} : { visible }),
    ...(held === undefined ? {} : { held: held.digest }),
    ...(held === undefined || held.coverage === 'all' ? {} : { heldFor: [...held.coverage] }),
    deletedAtOrigin: visible === undefined && held !== undefined && history.length > 0,
    ...(plan.kind === 'drop-later' ? { goesAtMs: plan.dueAtMs } : {}),
    plan: plan.kind === 'refusal' ? plan.reason : plan.kind,
  }
}

/** What each neighbour holds of it, as far as its feed said so to this node. */
export function viewBehind(
  { key, history, held }: Entry,
  { insight }: Pick<RecordsViewDeps, 'insight'>,
  neighbours: StatusView['neighbours'],
): RecordsView['neighbours'] {
  const visible = visibleOf(history)?.record.digest
  const told = history.flatMap(({ record }) => (record.kind === 'put' ? [record.digest] : []))
  const digests = [...new Set<Digest>([...told, ...(held === undefined ? [] : [held.digest])])]
  return neighbours.map(({ name: node, state, isSource }) => {
    const isHolder = (digest: Digest) =>
      insight.holders.of(key.repository, digest, []).has(node as NodeName)
    const holds = digests.filter(isHolder)
    const isBehind = isSource && visible !== undefined && !holds.includes(visible)
    return { node, state, holds, ...(isSource ? { isBehind } : {}) }
  })
}

function viewHistory(
  { key, history, held, kept = [] }: Entry,
  { topology }: RecordsViewDeps,
): RecordView[] {
  const visible = visibleOf(history)
  const lost = new Set<SignedRecord>(conflictOf(history)?.losers)
  const tags = createLoserTags(topology).of(key.repository, history)
  const nameOf = (writer: string) => nodeOfPeer(topology, writer) ?? writer
  const roleOf = (signed: SignedRecord): RecordView['role'] => {
    if (signed.record.kind === 'delete') return 'delete'
    if (signed === visible) return lost.size === 0 ? 'visible' : 'winner'
    return lost.has(signed) ? 'loser' : 'replaced'
  }
  return history.map((signed) => {
    const { id, record, writer } = signed
    const { kind, time, seen } = record
    const role = roleOf(signed)
    const tag = tags.find(({ recordId }) => recordId === id)?.tag
    const isServed =
      kind === 'put' &&
      (role === 'loser' ? kept.includes(record.digest) : held?.digest === record.digest)
    return {
      id,
      kind,
      role,
      writer: nameOf(writer),
      time: timeText(time),
      seen: Object.fromEntries([...seen].map(([by, until]) => [nameOf(by), timeText(until)])),
      ...(kind === 'put' ? { digest: record.digest, size: record.size, isServed } : {}),
      ...(tag === undefined ? {} : { tag }),
    }
  })
}

function timeText(time: Time): string {
  return new Date(msOfTime(time)).toISOString()
}
