/** What a node knows, holds and plans for a reference, as a person reads it. */
import type { Planner } from '../planner/planner.ts'
import { visibleOf } from '../record/history.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import { msOfTime } from '../record/time.ts'
import type { Entry } from '../storage/ledger.ts'
import { nodeOfPeer } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'
import type { RecordsView, RecordView } from './views.ts'

export async function viewRecords(
  { key, history, held }: Entry,
  { topology, planner }: { readonly topology: Topology; readonly planner: Planner },
): Promise<RecordsView> {
  const visible = visibleOf(history)?.record.digest
  const plan = await planner.plan(key)
  return {
    ...key,
    known: history.map((signed) => viewRecord(signed, topology)),
    ...(visible === undefined ? {} : { visible }),
    ...(held === undefined ? {} : { held: held.digest }),
    deletedAtOrigin: visible === undefined && held !== undefined && history.length > 0,
    plan: plan.kind === 'refusal' ? plan.reason : plan.kind,
  }
}

function viewRecord({ id, record, writer }: SignedRecord, topology: Topology): RecordView {
  return {
    id,
    kind: record.kind,
    writer: nodeOfPeer(topology, writer) ?? writer,
    time: new Date(msOfTime(record.time)).toISOString(),
    ...(record.kind === 'put' ? { digest: record.digest, size: record.size } : {}),
  }
}
