/**
 * The BlobStore port: bytes by digest. Promises of every implementation, held by `test/contract/blob-store.contract.ts`:
 * content appears under its digest whole, verified and durable, or not at all; a stage survives a crash of the process.
 */
import type { Readable } from 'node:stream'
import type { Digest } from '../oci/digest.ts'

export interface BlobStat {
  /** Bytes. */
  readonly size: number
}

/** Bytes [start, end): end is exclusive. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface BlobStore {
  /** Undefined when absent. */
  stat(digest: Digest): Promise<BlobStat | undefined>
  /** The bytes, or `range` of them; undefined when absent. The caller must consume or destroy the stream. */
  read(digest: Digest, range?: ByteRange): Promise<Readable | undefined>
  /** The whole content in memory; undefined when absent. For manifests: never call it for layers. */
  readAll(digest: Digest): Promise<Uint8Array | undefined>
  /** A file that holds exactly the blob, for the fast read. Undefined when the store keeps no files. */
  pathOf(digest: Digest): string | undefined
  /** Opens the stage of this name, new or as far as an earlier one came. One owner at a time: the caller takes care. */
  stage(name: StageName): Promise<Stage>
  /** The file of a stage, to be read while it grows; undefined where there is none. Absent when the store keeps no files. */
  openStaged?(name: StageName): Promise<GrowingFile | undefined>
  /** Stages on disk that may be gone on with, in no order. */
  stages(): Promise<readonly StageStat[]>
  /** Stores bytes that are in memory already. @throws DIGEST_MISMATCH */
  put(digest: Digest, bytes: Uint8Array): Promise<void>
  /** What the store has of the blob, and when it was written, milliseconds since the Unix epoch. Never from memory. */
  written(digest: Digest): Promise<(BlobStat & { readonly atMs: number }) | undefined>
  /** The caller sees to it that nobody writes the blob meanwhile. Streams that are open go on to their end. */
  delete(digest: Digest): Promise<boolean>
  list(): AsyncIterable<Digest>
}

/** `[a-z0-9-]{1,160}`: an upload's UUID, or `blob-<algorithm>-<hex>` for a blob that is being fetched. */
export type StageName = string & { readonly __brand: 'StageName' }

/** Of stages that belong to one call: nobody resumes them, they are never listed, and a start removes what a crash left. */
export const ONE_CALL_PREFIX = 'put-'

export function oneCallStage(id: string): StageName {
  return `${ONE_CALL_PREFIX}${id}` as StageName
}

/** Goes on to be read when its stage has become a blob, and when it was discarded. */
export interface GrowingFile {
  /** At most `length` bytes from `at` on; empty where there are none yet. */
  read(at: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface StageStat {
  readonly name: StageName
  readonly size: number
  /** Last write, milliseconds since the Unix epoch. */
  readonly modifiedAtMs: number
}

export interface Stage {
  readonly name: StageName
  /** Bytes written so far. */
  readonly size: number
  /**
   * Appends the source to the end. Where it fails midway, what was written stays and `size` says how much.
   * At most one append runs at a time. @returns bytes appended.
   */
  append(
    source: AsyncIterable<Uint8Array>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<number>
  /**
   * Verifies the bytes against the digest and makes them a blob: fsync, rename, fsync of the directory. After `stored`
   * the stage is gone; after `mismatch` it is as it was, `actual` says what the bytes are.
   */
  commit(digest: Digest): Promise<StageCommit>
  /** Removes the bytes. */
  discard(): Promise<void>
  /** Lets go of the stage and keeps the bytes: a later `stage(name)` goes on from there. */
  close(): Promise<void>
}

export type StageCommit =
  | { readonly kind: 'stored'; readonly size: number }
  | { readonly kind: 'mismatch'; readonly actual: Digest }
