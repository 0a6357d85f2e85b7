/**
 * Fetches one blob into its stage and commits it: holders in turn, resumed by Range where the last one stopped, also
 * after a restart. After a mismatch the blob is fetched again from its start, from one holder alone, another one first.
 */
import { messageOf } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { algorithmOf, hexOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { BlobStore, Stage, StageName } from '../storage/blob-store.ts'
import type { NodeName } from '../topology/topology.ts'
import type { Attempt, Failure } from './attempts.ts'
import { summarize } from './attempts.ts'
import { LinkClosedError } from './pacer.ts'
import type { PullTarget } from './pull-manifest.ts'
import type { Asking, RegistrySource } from './registry-source.ts'

export interface BlobPull {
  readonly kind: 'pulled'
  /** The holder that the last bytes came from; undefined when the stage was complete already. */
  readonly from: NodeName | undefined
}

export interface PullBlobDeps {
  readonly source: RegistrySource
  readonly blobs: BlobStore
  readonly onAttempt: (attempt: Attempt) => void
  /** A blob came in and is verified: its whole size counts for the holder that gave the last bytes. */
  readonly onFetched: (digest: Digest, sizeBytes: number, from: NodeName) => void
}

export interface PullBlobOptions {
  readonly signal: AbortSignal
  /** Bytes here so far, as they come. */
  readonly onProgress: (bytes: number) => void
  readonly asking?: Asking
}

export async function pullBlob(
  deps: PullBlobDeps,
  target: PullTarget & { readonly blob: Descriptor },
  options: PullBlobOptions,
): Promise<BlobPull | Failure> {
  const { onProgress } = options
  const { repository, blob, sources } = target
  const { digest, size } = blob
  const name = stageNameOf(digest)
  const attempts: Attempt[] = []
  const fail = (node: NodeName, why: Pick<Attempt, 'outcome' | 'reason' | 'untilMs'>) => {
    const attempt = { node, repository, digest, ...why }
    attempts.push(attempt)
    deps.onAttempt(attempt)
  }
  let stage = await deps.blobs.stage(name)
  /** Who gave the bytes in the stage; bytes of an earlier run have no name. */
  let givers = new Set<NodeName>()
  /** Whether all bytes in the stage came in this run: only then their one giver is to blame. */
  let isFresh = stage.size === 0
  /** After a mismatch nobody's bytes are mixed with another's. */
  let isAlone = false
  let left = [...sources]
  const restart = async () => {
    await stage.discard()
    stage = await deps.blobs.stage(name)
    givers = new Set()
    isFresh = true
    onProgress(0)
  }
  try {
    for (;;) {
      if (stage.size >= size) {
        const commit = await stage.commit(digest)
        if (commit.kind === 'stored') {
          const from = [...givers].at(-1)
          if (from !== undefined) deps.onFetched(digest, size, from)
          return { kind: 'pulled', from }
        }
        const [giver] = givers
        const isProven = isFresh && givers.size === 1 && giver !== undefined
        if (isProven) fail(giver, { outcome: 'corrupt', reason: `gave ${commit.actual}` })
        // Another holder first; one that is only suspected is asked again, last.
        const suspects = isAlone || isProven ? [] : sources.filter((node) => givers.has(node))
        left = [...left, ...suspects]
        isAlone = true
        await restart()
        continue
      }
      const node = left.shift()
      if (node === undefined) return summarize(attempts)
      if (isAlone && stage.size > 0) await restart()
      const { received, failure } = await fetchFrom(deps, node, target, stage, options)
      if (received) givers.add(node)
      if (failure !== undefined) fail(node, failure)
    }
  } finally {
    await stage.close()
  }
}

interface Fetched {
  readonly received: boolean
  readonly failure?: Pick<Attempt, 'outcome' | 'reason' | 'untilMs'>
}

async function fetchFrom(
  { source }: PullBlobDeps,
  node: NodeName,
  { repository, blob }: PullTarget & { readonly blob: Descriptor },
  stage: Stage,
  { signal, onProgress, ...rest }: PullBlobOptions,
): Promise<Fetched> {
  const offset = stage.size
  const { size } = blob
  const answer = await source.blob(node, repository, blob.digest, { ...rest, offset, size, signal })
  if (answer.kind === 'absent')
    return { received: false, failure: { outcome: 'absent', reason: 'not there' } }
  if (answer.kind !== 'blob') {
    const { kind: outcome, ...why } = answer
    return { received: false, failure: { outcome, ...why } }
  }
  if (signal.aborted) void end(answer.body)
  try {
    // A holder without ranges starts at 0: what is here already is skipped, not written twice.
    const skip = offset - answer.offset
    await stage.append(counted(answer.body, skip, size - offset, onProgress, offset), { signal })
    const received = stage.size > offset
    if (stage.size >= size) return { received }
    const reason = `ended after ${stage.size} of ${size} bytes`
    return { received, failure: { outcome: 'unreachable', reason } }
  } catch (err) {
    signal.throwIfAborted()
    if (!(err instanceof SourceError)) throw err
    return { received: stage.size > offset, failure: whyCut(err) }
  }
}

function whyCut({ message, cause }: SourceError): NonNullable<Fetched['failure']> {
  if (!(cause instanceof LinkClosedError)) return { outcome: 'unreachable', reason: message }
  return { outcome: 'closed', reason: message, untilMs: cause.untilMs }
}

/** Of a body that nobody will read: those who count it see its end, for which it has to begin. */
async function end(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const _ of body) return
  } catch {
    // It was cut off.
  }
}

/** Marks errors of the holder's side, so that a full disk is not blamed on it. */
class SourceError extends Error {}

/** The body without its first `skip` bytes; a body longer than `limit` is a fault of the holder. */
async function* counted(
  body: AsyncIterable<Uint8Array>,
  skip: number,
  limit: number,
  onProgress: (bytes: number) => void,
  offset: number,
): AsyncGenerator<Uint8Array> {
  let left = skip
  let passed = 0
  const chunks: AsyncIterator<Uint8Array, unknown> = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await chunks.next().catch((err: unknown) => {
        throw new SourceError(messageOf(err), { cause: err })
      })
      if (next.done === true) return
      const chunk = next.value.subarray(Math.min(left, next.value.length))
      left -= next.value.length - chunk.length
      if (chunk.length === 0) continue
      passed += chunk.length
      if (passed > limit) throw new SourceError('more bytes than the manifest says')
      yield chunk
      onProgress(offset + passed)
    }
  } finally {
    await chunks.return?.()
  }
}

export function stageNameOf(digest: Digest): StageName {
  return `blob-${algorithmOf(digest)}-${hexOf(digest)}` as StageName
}
