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
import { hasPlatform } from '../topology/platforms.ts'
import type { Platforms } from '../topology/topology.ts'
import type { Failure } from '../transfer/attempts.ts'
import type { Fetcher, Image } from '../transfer/fetcher.ts'
import type { Window } from './window.ts'

export interface Work {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Of an index, the images that are to come. */
  readonly platforms: Platforms
  /** When blobs may be fetched. Manifests always: they say how much there is to come. */
  readonly window: Pick<Window, 'now'>
  /** Asked at the commit: references may join while the job runs. */
  readonly references: () => readonly string[]
}

export interface Progress {
  phase(phase: JobPhase): void
  bytes(done: number, total: number): void
}

export type WorkOutcome =
  | { readonly kind: 'done' }
  | Failure
  /** Its window is closed: `opensMs` since the Unix epoch, Infinity where it never opens. */
  | { readonly kind: 'window'; readonly opensMs: number }

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
  { repository, digest, platforms, window, references }: Work,
  progress: Progress,
  { signal }: { readonly signal: AbortSignal },
): Promise<WorkOutcome> {
  progress.phase('manifest')
  const manifests = new Map<Digest, PulledManifest>()
  const collecting = { repository, image: { digest, platforms }, into: manifests, signal }
  const failure = await collect(deps, collecting, digest)
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

  const state = window.now()
  if (!state.isOpen && missing.length > 0) {
    progress.bytes(here, total)
    return { kind: 'window', opensMs: state.opensMs }
  }
  progress.phase('blobs')
  const failed = await fetchAll(deps, { repository, digest, platforms }, missing, {
    here,
    total,
    progress,
    signal,
  })
  if (failed !== undefined) return failed

  progress.phase('commit')
  const image = { repository, manifests: [...manifests.values()], platforms }
  await deps.content.commitPulled({ ...image, references: references() as never })
  return { kind: 'done' }
}

interface Collecting {
  readonly repository: RepositoryName
  readonly image: Required<Image>
  readonly into: Map<Digest, PulledManifest>
  readonly signal: AbortSignal
}

/** The manifest and everything below it that is a manifest of these platforms, children first. */
async function collect(
  deps: PhasesDeps,
  collecting: Collecting,
  digest: Digest,
  depth = 0,
): Promise<Failure | undefined> {
  const { image, into } = collecting
  if (into.has(digest)) return undefined
  if (depth > MAX_DEPTH) return { kind: 'failed', reason: `indexes nest deeper than ${MAX_DEPTH}` }
  const found = await readOrPull(deps, collecting, digest)
  if (found.kind !== 'pulled') return depth === 0 ? found : naming(digest, found)
  for (const child of found.manifest.manifests) {
    if (!hasPlatform(image.platforms, child.platform)) continue
    const failure = await collect(deps, collecting, child.digest, depth + 1)
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
  { repository, image, signal }: Collecting,
  digest: Digest,
) {
  const stored = await content.readManifest(repository, digest)
  if (stored === undefined) return fetcher.manifest(repository, image, digest, { signal })
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
  { repository, digest, platforms }: Pick<Work, 'repository' | 'digest' | 'platforms'>,
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
      const pull = await fetcher.blob(repository, { digest, platforms }, blob, options)
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
