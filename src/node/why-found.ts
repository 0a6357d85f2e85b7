/** What a node knows of one key that explains why it is here, or is not. Gathered, not judged. */
import type { JobView } from '../events/mesh-event.ts'
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/name.ts'
import type { Neighbour, Neighbours } from '../peers/neighbours.ts'
import type { Transfer } from '../peers/transfers.ts'
import type { Plan, Planner } from '../planner/planner.ts'
import { jobId } from '../queue/job.ts'
import type { JobQueue } from '../queue/job-queue.ts'
import { visibleOf } from '../record/history.ts'
import { decodeStoredRecord } from '../record/record-codec.ts'
import { keyText, type RecordKey, type SignedRecord } from '../record/tag-record.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { IndexDb } from '../storage/index-db.ts'
import { pagesOf } from '../storage/index-pages.ts'
import { PARKED, type ParkedRow, pairKey, TAG } from '../storage/index-tables.ts'
import type { Entry, Ledger } from '../storage/ledger.ts'
import { itemOf } from '../storage/naming.ts'
import { type Hop, linksTo, type Path, pathTo } from '../topology/path.ts'
import type { NodeName, Topology } from '../topology/topology.ts'
import type { OriginDeletes } from '../worker/origin-deletes.ts'
import type { Insight } from './insight.ts'
import { type FoundLoser, findLoser } from './loser-of-tag.ts'
import { type FoundDeletion, findDeletion } from './why-deleted.ts'

export interface WhyDeps {
  readonly topology: Topology
  readonly self: NodeName
  readonly ledger: Pick<Ledger, 'entry'>
  readonly planner: Planner
  readonly queue: Pick<JobQueue, 'get' | 'list'>
  readonly index: Pick<IndexDb, 'page' | 'get'>
  readonly blobs: Pick<BlobStore, 'written'>
  readonly neighbours: Pick<Neighbours, 'list'>
  readonly insight: Insight
  readonly deletes: Pick<OriginDeletes, 'of'>
  readonly clock: Clock
}

export interface Found {
  readonly self: NodeName
  readonly key: RecordKey
  readonly now: number
  readonly entry: Entry | undefined
  readonly plan: Plan
  /** Of what was deleted and is to go here. */
  readonly deletion: FoundDeletion | undefined
  /** Of the tag of a push that lost another tag. */
  readonly loser: FoundLoser | undefined
  /** The newest record that shows something; else the newest one. */
  readonly newest: SignedRecord | undefined
  readonly wanted: Digest | undefined
  readonly held: Digest | undefined
  /** When the manifest that is served was written here, milliseconds since the Unix epoch. */
  readonly heldSinceMs: number | undefined
  readonly path: Path
  /** Links that end here. */
  readonly links: readonly Hop[]
  readonly job: JobView | undefined
  /** Jobs that are ahead of it or run. */
  readonly jobsBefore: number
  readonly holders: readonly Neighbour[]
  /** Neighbours whose links let it through to here. */
  readonly sources: readonly Neighbour[]
  readonly transfers: readonly Transfer[]
  readonly parked: readonly { readonly signed: SignedRecord; readonly row: ParkedRow }[]
  readonly isScanning: boolean
}

/** Parked rows read at a time. */
const PAGE = 256

export async function findFacts(deps: WhyDeps, key: RecordKey): Promise<Found> {
  const { topology, self, ledger, planner, queue, insight } = deps
  const { repository, reference } = key
  const entry = ledger.entry(key)
  const visible = visibleOf(entry?.history ?? [])
  const newest = visible ?? entry?.history[0]
  const loser = findLoser(deps, key)
  // It goes where the tag goes that it lost.
  const item = itemOf(
    loser === undefined ? key : { repository, reference: loser.of },
    newest?.record,
  )
  const links = await linksTo(topology, self, item, insight.naming)
  const wanted = (visible ?? loser?.conflict?.loser)?.record.digest
  const here = entry?.held?.digest ?? deps.index.get(TAG, pairKey(repository, reference))
  const held = here ?? loser?.served
  const about = wanted ?? (isDigest(reference) ? reference : undefined)
  const neighbours = deps.neighbours.list()
  const bringers = new Set(
    links.filter(({ passing }) => passing.length > 0).map(({ from }) => from),
  )
  const open = queue.list().filter(({ state }) => state === 'queued' || state === 'running')
  const plan = await planner.plan(key)
  const platforms = plan.kind === 'pull' ? plan.platforms : undefined
  const holding = about && insight.holders.of(repository, about, platforms)
  const id = about === undefined ? undefined : jobId(repository, about)
  return {
    self,
    key,
    now: deps.clock.now(),
    entry,
    plan,
    deletion: plan.kind === 'drop-later' ? await findDeletion(deps.deletes, key) : undefined,
    loser,
    newest,
    wanted,
    held,
    heldSinceMs: held && (await deps.blobs.written(held))?.atMs,
    path: await pathTo(topology, self, item, insight.naming),
    links,
    job: id === undefined ? undefined : queue.get(id),
    jobsBefore: open.filter((job) => job.id !== id).length,
    holders: neighbours.filter(({ name }) => holding?.has(name)),
    sources: neighbours.filter(({ name }) => bringers.has(name)),
    transfers: insight.transfers.list().filter((one) => one.repository === repository),
    parked: await parkedOf(deps.index, key),
    isScanning: insight.isScanning(),
  }
}

async function parkedOf(index: Pick<IndexDb, 'page'>, key: RecordKey): Promise<Found['parked']> {
  const found: { signed: SignedRecord; row: ParkedRow }[] = []
  for await (const page of pagesOf(index, PARKED, { limit: PAGE })) {
    for (const [, row] of page) {
      const signed = decodeStoredRecord(row.bytes)
      if (keyText(signed.record) === keyText(key)) found.push({ signed, row })
    }
  }
  return found
}
