/** What an eviction may take: images that no policy holds here, and superseded ones, those used longest ago first. */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type RepositoryName } from '../oci/name.ts'
import { visibleOf } from '../record/history.ts'
import type { RecordKey, TagRecord } from '../record/tag-record.ts'
import type { StorageBudget } from '../topology/topology.ts'
import type { BlobStore } from './blob-store.ts'
import type { IndexDb, Reads } from './index-db.ts'
import { pagesOf } from './index-pages.ts'
import { firstOf, MANIFEST, PARENT, pairKey, secondOf } from './index-tables.ts'
import type { LastPulled } from './last-pulled.ts'
import type { Ledger } from './ledger.ts'
import { manifestUse } from './manifest-use.ts'

export interface Candidate {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Of what shows it; absent where nothing does any more. */
  readonly key?: RecordKey
  readonly pulledAtMs: number
}

export interface CandidatesDeps {
  readonly index: IndexDb
  readonly blobs: Pick<BlobStore, 'written'>
  readonly ledger: Pick<Ledger, 'scan'>
  readonly lastPulled: Pick<LastPulled, 'atMs'>
  /** Whether the topology would have nothing against it: no policy holds it here, and the node may not write it. */
  readonly mayGo: (key: RecordKey, record: TagRecord) => Promise<boolean>
  readonly isWriter: (repository: RepositoryName) => boolean
}

/** Rows read at a time. */
const PAGE = 256
/** Index in index: deeper documents are not images. */
const MAX_DEPTH = 4

/** In the order in which they go. @throws the signal's reason */
export async function findCandidates(
  deps: CandidatesDeps,
  budget: Pick<StorageBudget, 'isPinned'>,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const { index, ledger } = deps
  const found: Candidate[] = []
  const add = async (one: Omit<Candidate, 'pulledAtMs'>) =>
    found.push({ ...one, pulledAtMs: await usedAtMs(deps, one) })
  for (let after: string | undefined = ''; after !== undefined; ) {
    signal.throwIfAborted()
    const page: Awaited<ReturnType<Ledger['scan']>> = await ledger.scan({ after, limit: PAGE })
    for (const { key, history, held } of page.entries) {
      const { repository, reference } = key
      const visible = visibleOf(history)?.record
      // A tag that was deleted where it came from is shown on, but not for ever.
      const record = visible ?? history[0]?.record
      if (record === undefined || held?.isAdopted === true) continue
      // What an eviction that was cut off has let go of already is still there.
      const isHere =
        visible !== undefined &&
        index.get(MANIFEST, pairKey(repository, visible.digest)) !== undefined
      const digest = held?.digest ?? (isHere ? visible.digest : undefined)
      const isPinned = !isDigest(reference) && budget.isPinned(repository, reference)
      if (digest === undefined || isPinned || !(await deps.mayGo(key, record))) continue
      await add({ repository, digest, key })
    }
    after = page.last
  }
  for await (const page of pagesOf(index, MANIFEST, { limit: PAGE })) {
    signal.throwIfAborted()
    for (const [row] of page) {
      const [repository, digest] = [firstOf(row) as RepositoryName, secondOf(row) as Digest]
      if (deps.isWriter(repository) || index.get(PARENT, row) !== undefined) continue
      // Superseded: it would go in time anyway.
      const { kind } = manifestUse(index, repository, digest, { isWanted: true })
      if (kind === 'unused') await add({ repository, digest })
    }
  }
  return found.sort((a, b) => a.pulledAtMs - b.pulledAtMs || (imageOf(a) < imageOf(b) ? -1 : 1))
}

/** All tags of an image stand behind each other, also where two were pulled in the same moment. */
export function imageOf({ repository, digest }: Pick<Candidate, 'repository' | 'digest'>): string {
  return `${repository}@${digest}`
}

/** When it, or an image of the index, was pulled last; where nobody ever did, when it came. */
export async function usedAtMs(
  { index, blobs, lastPulled }: Pick<CandidatesDeps, 'index' | 'blobs' | 'lastPulled'>,
  { repository, digest }: Omit<Candidate, 'pulledAtMs'>,
): Promise<number> {
  const children = index.get(MANIFEST, pairKey(repository, digest))?.manifests ?? []
  const times = [digest, ...children].map((one) => lastPulled.atMs(repository, one))
  const lastMs = times.reduce((a, b) => Math.max(a, b))
  return lastMs > 0 ? lastMs : ((await blobs.written(digest))?.atMs ?? 0)
}

/** Its manifests and blobs that are here, with their bytes. */
export function partsOf(
  reads: Reads,
  repository: RepositoryName,
  digest: Digest,
  depth = 0,
): Map<Digest, number> {
  const parts = new Map<Digest, number>()
  const row = reads.get(MANIFEST, pairKey(repository, digest))
  if (row === undefined || depth > MAX_DEPTH) return parts
  parts.set(digest, row.size)
  for (const blob of row.blobs) parts.set(blob.digest, blob.size)
  for (const child of row.manifests) {
    for (const [part, size] of partsOf(reads, repository, child, depth + 1)) parts.set(part, size)
  }
  return parts
}
