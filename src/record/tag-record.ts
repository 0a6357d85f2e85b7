/** Tag records: what a writer says about a reference, signed once and relayed byte for byte. */
import type { Digest } from '../oci/digest.ts'
import type { Reference, RepositoryName } from '../oci/name.ts'
import type { PeerId } from './peer-id.ts'
import type { Time } from './time.ts'

/** For each writer the newest time known: a version vector. */
export type Context = ReadonlyMap<PeerId, Time>

interface RecordBase {
  /** `metadata.name` of the topology: a record of another realm is invalid here. */
  readonly realm: string
  readonly repository: RepositoryName
  readonly reference: Reference
  readonly time: Time
  /** What the author knew for this key when it signed. Every time in it is smaller than `time`. */
  readonly seen: Context
}

export interface PutRecord extends RecordBase {
  readonly kind: 'put'
  readonly digest: Digest
  readonly mediaType: string
  /** Bytes of the manifest. */
  readonly size: number
  readonly subject?: Digest
}

export interface DeleteRecord extends RecordBase {
  readonly kind: 'delete'
  /** Of what it deletes: who was sent the record of a signature must be sent its delete. */
  readonly subject?: Digest
}

export type TagRecord = PutRecord | DeleteRecord

export interface SignedRecord {
  readonly record: TagRecord
  readonly writer: PeerId
  /** The signed envelope, exactly as it came; this is what is stored and relayed. */
  readonly bytes: Uint8Array
  /** sha256 of `bytes` in hex: breaks ties between two records of one identity, and names the record in logs. */
  readonly id: string
}

/** What a record is about: unique within a realm. */
export interface RecordKey {
  readonly repository: RepositoryName
  readonly reference: Reference
}

/** `repository NUL reference`: sorts by repository, then reference; NUL is in neither grammar. */
export function keyText({ repository, reference }: RecordKey): string {
  return `${repository}\0${reference}`
}

export function parseKeyText(text: string): RecordKey {
  const at = text.indexOf('\0')
  return {
    repository: text.slice(0, at) as RepositoryName,
    reference: text.slice(at + 1) as Reference,
  }
}

/**
 * Keys that may write one repository, at most: 32 writers and 12 former keys of theirs. A record that has seen all of them fits
 * into MAX_RECORD_BYTES also where every name in it is as long as it may be: 1,275 bytes, and 64 for each key.
 */
export const MAX_KEYS = 44
/** Keys in `seen`, at most: with shorter names there is room for some that a topology had before. */
export const MAX_SEEN = 64
/** Largest signed record, bytes: what every receiver accepts; gossip messages have the same bound. */
export const MAX_RECORD_BYTES = 4096

const FALLBACK_TAG = /^sha256-([0-9a-f]{64})(?:\..+|$)/

/** The manifest that a record is about: its `subject`, or the one that a fallback tag `sha256-<hex>...` names. */
export function subjectOf(record: TagRecord): Digest | undefined {
  if (record.subject !== undefined) return record.subject
  const hex = FALLBACK_TAG.exec(record.reference)?.[1]
  return hex === undefined ? undefined : (`sha256:${hex}` as Digest)
}
