/** The collector among bytes on their way in: sessions that nobody goes on with, and stages that belong to nobody. */
import { durationText } from '../lib/duration.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import type { BlobLeases } from './blob-leases.ts'
import type { BlobStore, StageStat } from './blob-store.ts'
import type { CollectedItem } from './collected-item.ts'
import type { CollectorRun } from './collector-run.ts'
import type { UploadSessions } from './upload-sessions.ts'

export interface CollectStagesDeps {
  readonly blobs: BlobStore
  readonly leases: BlobLeases
  readonly uploads: Pick<UploadSessions, 'list' | 'expire'>
  readonly oldestJobMs: () => number | undefined
}

export async function* collectUploads(
  { uploads }: CollectStagesDeps,
  run: CollectorRun,
): AsyncGenerator<CollectedItem> {
  for (const upload of await uploads.list()) {
    const { id, repository, size, lastMs } = upload
    const dueAtMs = lastMs + run.graces.unusedMs
    const isDue = dueAtMs <= run.now && (run.isDryRun || (await uploads.expire(upload)))
    const reason = `no byte for ${durationText(run.now - lastMs)}, kept for ${durationText(run.graces.unusedMs)}`
    const item = { repository, name: id, bytes: size, reason, dueAtMs, isDue }
    yield run.explained({ kind: 'upload', ...item })
  }
}

/** After the sessions: what is left is of a blob that was being fetched, or of a session that is gone. */
export async function* collectStages(
  deps: CollectStagesDeps,
  run: CollectorRun,
): AsyncGenerator<CollectedItem> {
  const sessions = new Set((await deps.uploads.list()).map(({ id }) => id))
  for (const stage of await deps.blobs.stages()) {
    if (sessions.has(stage.name)) continue
    const dueAtMs = stage.modifiedAtMs + run.graces.unusedMs
    const isDue = dueAtMs <= run.now && (await discard(deps, run, stage))
    const age = durationText(run.now - stage.modifiedAtMs)
    const reason = `no job wants it; last written ${age} ago, kept for ${durationText(run.graces.unusedMs)}`
    const item = { name: stage.name, bytes: stage.size, reason, dueAtMs, isDue }
    yield run.explained({ kind: 'stage', ...item })
  }
}

async function discard(
  { blobs, leases, oldestJobMs }: CollectStagesDeps,
  run: CollectorRun,
  { name, modifiedAtMs }: StageStat,
): Promise<boolean> {
  const remove = async () => {
    const stage = await blobs.stage(name)
    await stage.discard()
    return true
  }
  const digest = digestOf(name)
  if (digest === undefined) return run.isDryRun || remove()
  const mayBeOfJob = (oldestJobMs() ?? Number.POSITIVE_INFINITY) <= modifiedAtMs
  if (mayBeOfJob || run.isBusy(digest)) return false
  return run.isDryRun || (await leases.exclude(digest, remove)) === true
}

/** Of the blob that the stage is for: `blob-<algorithm>-<hex>`. */
function digestOf(name: string): Digest | undefined {
  const [, algorithm, hex] = /^blob-([a-z0-9]+)-([0-9a-f]+)$/.exec(name) ?? []
  return parseDigest(`${algorithm}:${hex}`)
}
