/**
 * What running means: manifest -> missing -> blobs -> commit. Children before parents; what is here already, also from
 * another repository, is linked and not fetched.
 */
import type { JobPhase } from '../events/mesh-event.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { BlobLeases } from '../storage/blob-leases.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { ContentKeeper, ContentReader, PulledManifest } from '../storage/content.ts'
import type { Damage } from '../storage/damage.ts'
import type { Failure } from '../transfer/attempts.ts'
import type { Fetcher } from '../transfer/fetcher.ts'

export interface Work {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Asked at the commit: references may join while the job runs. */
  readonly references: () => readonly string[]
}

export interface Progress {
  phase(phase: JobPhase): void
  bytes(done: number, total: number): void
}

export type WorkOutcome = { readonly kind: 'done' } | Failure

export interface PhasesDeps {
  readonly fetcher: Fetcher
  readonly blobs: BlobStore
  readonly leases: Pick<BlobLeases, 'hold'>
  readonly damage: Pick<Damage, 'has'>
  readonly content: ContentKeeper & Pick<ContentReader, 'readManifest'>
}

/** Blobs of one job at a time: enough to fill a link with small layers, few enough to be fair to other jobs. */
const BLOBS_AT_ONCE = 3
/** Index in index in index: deeper documents are not images. */
const MAX_DEPTH = 4

/** Carries a job out. @throws the signal's reason, and local faults (a full disk) as they come. */
export async function carryOut(
  deps: PhasesDeps,
  { repository, digest, references }: Work,
  progress: Progress,
  { signal }: { readonly signal: AbortSignal },
): Promise<WorkOutcome> {
  progress.phase('manifest')
  const manifests = new Map<Digest, PulledManifest>()
  const failure = await collect(deps, repository, digest, manifests, 0, signal)
  if (failure !== undefined) return failure
  // From the look what is here to the commit that names it.
  using _held = await deps.leases.hold(
    [...manifests.values()].flatMap(({ digest: name, manifest }) => [
      name,
      ...manifest.blobs.map((blob) => blob.digest),
    ]),
  )

  progress.phase('missing')
  const { missing, here, total } = await findMissing(deps, [...manifests.values()])

  progress.phase('blobs')
  const failed = await fetchAll(deps, { repository, digest }, missing, {
    here,
    total,
    progress,
    signal,
  })
  if (failed !== undefined) return failed

  progress.phase('commit')
  const image = { repository, manifests: [...manifests.values()] }
  await deps.content.commitPulled({ ...image, references: references() as never })
  return { kind: 'done' }
}

/** The manifest and everything below it that is a manifest, children first. */
async function collect(
  deps: PhasesDeps,
  repository: RepositoryName,
  digest: Digest,
  into: Map<Digest, PulledManifest>,
  depth: number,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  if (into.has(digest)) return undefined
  if (depth > MAX_DEPTH) return { kind: 'failed', reason: `indexes nest deeper than ${MAX_DEPTH}` }
  const found = await readOrPull(deps, repository, digest, signal)
  if (found.kind !== 'pulled') return depth === 0 ? found : naming(digest, found)
  for (const child of found.manifest.manifests) {
    const failure = await collect(deps, repository, child.digest, into, depth + 1, signal)
    if (failure !== undefined) return failure
  }
  into.set(digest, { digest, bytes: found.bytes, manifest: found.manifest })
  return undefined
}

/**
 * The job says which image; the reason says which part of it did not come. That nobody has the part of an image that somebody has
 * is a sparse image, or one of which the parts are still being pushed.
 */
function naming(part: Digest, failure: Failure): Failure {
  const reason = `${part}: ${failure.reason}`
  if (failure.kind === 'failed') return { ...failure, reason }
  return { ...failure, reason: `no connected holder has all of it; what is missing: ${reason}` }
}

async function readOrPull(
  { content, fetcher }: PhasesDeps,
  repository: RepositoryName,
  digest: Digest,
  signal: AbortSignal,
) {
  const stored = await content.readManifest(repository, digest)
  if (stored === undefined) return fetcher.manifest(repository, digest, { signal })
  const parse = parseManifest(stored.bytes, stored.mediaType)
  if (parse.kind === 'invalid') return { kind: 'failed', reason: parse.reason } as const
  return { kind: 'pulled', bytes: stored.bytes, manifest: parse.manifest } as const
}

async function findMissing({ blobs, damage }: PhasesDeps, manifests: readonly PulledManifest[]) {
  const wanted = new Map(
    manifests.flatMap(({ manifest }) => manifest.blobs.map((blob) => [blob.digest, blob] as const)),
  )
  const missing: Descriptor[] = []
  let here = 0
  let total = 0
  for (const blob of wanted.values()) {
    total += blob.size
    const stat = damage.has(blob.digest) ? undefined : await blobs.stat(blob.digest)
    if (stat?.size === blob.size) here += blob.size
    else missing.push(blob)
  }
  // Small content first: configs are what clients ask for first, and a short blob shows early that a holder works.
  return { missing: missing.sort((a, b) => a.size - b.size), here, total }
}

interface FetchAll {
  readonly here: number
  readonly total: number
  readonly progress: Progress
  readonly signal: AbortSignal
}

async function fetchAll(
  { fetcher, damage }: PhasesDeps,
  { repository, digest }: Pick<Work, 'repository' | 'digest'>,
  missing: readonly Descriptor[],
  { here, total, progress, signal }: FetchAll,
): Promise<Failure | undefined> {
  const done = new Map<Digest, number>()
  const report = () => {
    let sum = here
    for (const bytes of done.values()) sum += bytes
    progress.bytes(sum, total)
  }
  report()
  const left = [...missing]
  let failure: Failure | undefined
  // A fault of this node (a full disk) in one lane ends the others: nothing runs on behind a job that has failed.
  const fault = new AbortController()
  const either = AbortSignal.any([signal, fault.signal])
  const lane = async () => {
    for (let blob = left.shift(); blob !== undefined && !failure; blob = left.shift()) {
      const { digest: name, size } = blob
      const onProgress = (bytes: number) => {
        done.set(name, bytes)
        report()
      }
      const isDamaged = damage.has(name)
      const options = { signal: either, onProgress, isDamaged }
      const pull = await fetcher.blob(repository, digest, blob, options)
      if (pull.kind === 'pulled') onProgress(size)
      else failure ??= naming(name, pull)
    }
  }
  const lanes = Array.from({ length: BLOBS_AT_ONCE }, async () => {
    try {
      await lane()
    } catch (err) {
      fault.abort(err)
      throw err
    }
  })
  await Promise.allSettled(lanes)
  // One of them tells what went wrong, now that all have ended.
  await Promise.all(lanes)
  return failure
}
