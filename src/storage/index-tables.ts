/**
 * The whole index, drawn: every table, its key and its value. Values are CBOR. A change of a key or value is a new
 * INDEX_VERSION, with a migration; golden rows stand in `test/unit/storage/golden/`.
 *
 *   meta       <name>                       version, epochs, last numbers
 *   entry      repository NUL reference     Row of the ledger: number, records, what is held
 *   feed       number (16 digits)           repository NUL reference
 *   tag        repository NUL tag           digest that the node serves
 *   manifest   repository NUL digest        what the manifest needs, so that nobody reads its bytes again
 *   blob       repository NUL digest        a blob that the repository may serve
 *   repository name                         how many manifests it has
 *   shows      repository NUL digest        set: tags whose newest record names the digest
 *   holds      repository NUL digest        set: tags for which the node serves the digest
 *   referrer   repository NUL digest        set: references of records whose subject is the digest
 *   about      repository NUL digest        set: manifests here whose subject is the digest
 *   lost       repository NUL digest        set: tags that the digest lost in a concurrent push
 *   kept       repository NUL tag           losers of the tag that the node serves, and under which tags
 *   loser      repository NUL tag           a tag under which the node serves a loser: of which tag
 *   parent     repository NUL digest        indexes here that have the digest as a child
 *   renumber   repository NUL digest        the entries of records about it still need new numbers
 *   unused     repository NUL digest        what nothing needs: since when, and what it was
 *   gone       repository NUL digest        a manifest that left while others were about it
 *   upload     UUID                         an upload session: whose repository
 *   job        repository @ digest          attempts, errors and times of a job
 *   ended      number (16 digits)           a job that ended lately, with its notes
 *   asked      repository NUL reference     digest that a person asked for: until it is here
 *   pause      all                          what a person has paused
 *   heldup     repository                   deletes of other writers wait for a person: since when
 *   confirmed  repository NUL tag           such a delete that a person let through: id of its record
 *   taken      repository NUL tag           such a delete that was applied, for as long as it counts: when it was due
 *   cursor     peer id                      how far this node has read the peer's feed
 *   parked     record id                    verified records whose time or right has not come yet
 *   pending    number (16 digits)           link files that a commit still has to write
 *   damaged    digest                       a blob whose bytes are not what they must be: absent until they are again
 *
 * A set is a row that counts its members, and behind it a row for each: repository NUL digest NUL member.
 */
import type { AskedNode, JobLine, JobView, Pause } from '../events/mesh-event.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import { decodeCbor, encodeCbor } from '../record/cbor-codec.ts'
import type { LoserTag } from '../record/losers.ts'
import type { Table } from './index-db.ts'

export const INDEX_VERSION = 2

export interface Held {
  /** What the node serves for the reference: complete, verified, on disk. */
  readonly digest: Digest
  /** The platforms it is complete for. */
  readonly coverage: 'all' | readonly string[]
  /** It was in the directory before the node: until a record says something of the reference, nobody signed for it. */
  readonly isAdopted?: true
}

export interface EntryRow {
  /** Place in the feed. */
  readonly number: number
  /** Signed records, as they came. */
  readonly records: readonly Uint8Array[]
  readonly held?: Held
}

export interface ManifestRow {
  readonly mediaType: string
  /** Bytes of the manifest. */
  readonly size: number
  readonly manifests: readonly Digest[]
  /** Of each of them, empty where the index says none. Absent where it says none of any, and in rows of earlier programs. */
  readonly platforms?: readonly string[]
  readonly blobs: readonly Descriptor[]
  readonly subject?: Digest
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
  /** Pushed while some of its blobs were not here: a blob that has no row is missing. */
  readonly isSparse?: true
}

export interface RepositoryRow {
  /** How many manifests it has; a repository with none does not exist for clients. */
  readonly manifests: number
  /** Grows whenever a manifest comes or goes: who looked through them can tell that nothing happened since. */
  readonly changes: number
}

export interface MetaRow {
  readonly version?: number
  /** Newest last. `start` is the feed's number when the epoch began. */
  readonly epochs?: readonly { readonly epoch: string; readonly start: number }[]
  /** Last number given out. */
  readonly last?: number
  /** Greatest logical time this node ever signed or saw. */
  readonly time?: number
}

export interface JobRow {
  readonly references: readonly Reference[]
  readonly attempts: number
  readonly createdAtMs: number
  readonly changedAtMs: number
  readonly nextTryAtMs?: number
  readonly reason?: string
  /** Id of the record for which a person holds the job: until a retry, or another record. */
  readonly heldFor?: string
  /** It was paused, not cancelled. */
  readonly isPaused?: true
}

export interface EndedRow {
  readonly job: JobView
  /** Its last lines, and whom it asked. */
  readonly log: readonly JobLine[]
  readonly asked: readonly AskedNode[]
}

export interface HeldUpRow {
  /** Milliseconds since the Unix epoch. */
  readonly sinceMs: number
}

export interface CursorRow {
  /** Hash of the filter and of the origins: another one means to begin again. */
  readonly filter: string
  readonly epoch: string
  readonly number: number
  /** From here on something was left out, since the park was full: it is read again when there is room. */
  readonly again?: number
}

/** What was asked for beyond what the topology brings. */
export interface AskedRow {
  readonly digest: Digest
  /** Of an index, which images. */
  readonly platforms: 'all' | readonly string[]
}

export interface ParkedRow {
  readonly bytes: Uint8Array
  /** Name of the node that handed it over. */
  readonly from: string
  readonly reason: 'no-writer' | 'future'
}

export interface UnusedRow {
  /** Found unused, milliseconds since the Unix epoch; undefined while it is used, or was not looked at yet. */
  readonly sinceMs?: number
  /** Tags that showed the manifest once, the last one last. */
  readonly tags?: readonly Tag[]
  /**
   * What the manifest was pushed for is gone: being pushed by digest alone keeps it no more. False: it was pushed again after
   * that, for its own sake.
   */
  readonly isOrphan?: boolean
}

export interface GoneRow {
  /** Since when it was unused before it left, milliseconds since the Unix epoch, and so what is about it; undefined: it was in use. */
  readonly sinceMs?: number
}

export interface RenumberRow {
  /** How many steps from the manifest whose tag moved. */
  readonly depth: number
  /** Referrers up to this one are done; empty = none yet. */
  readonly after: string
  /** Once round: at the end it begins again, and is done with this one. */
  readonly through?: string
  readonly isSecondRound?: true
}

export interface LoserRow {
  readonly digest: Digest
  /** The tag that it lost. */
  readonly of: Tag
}

export interface UploadRow {
  readonly repository: RepositoryName
  readonly startedAtMs: number
}

export interface DamagedRow {
  /** Milliseconds since the Unix epoch. */
  readonly foundAtMs: number
  readonly why: string
  /** Some repositories that have it: who may read them may give it. */
  readonly repositories: readonly RepositoryName[]
}

export type LinkChange =
  | { readonly kind: 'write'; readonly path: string; readonly digest: Digest }
  | { readonly kind: 'remove'; readonly path: string }

/** Rows of sets whose members are `T`, as `index-sets.ts` keeps them: the count, and 1 for each member. */
export interface SetTable<T extends string> extends Table<number> {
  /** In the type alone: what the members are. */
  readonly members?: T
}

/** Of rows that every pull asks for. */
function cached<V>(name: string): Table<V> {
  return { ...table<V>(name), isCached: true }
}

function table<V>(name: string): Table<V> {
  return {
    name,
    encode: encodeCbor,
    decode: (bytes) => decodeCbor(bytes) as V,
  }
}

export const META = table<MetaRow>('meta')
export const ENTRY = table<EntryRow>('entry')
export const FEED = table<string>('feed')
export const TAG = cached<Digest>('tag')
export const MANIFEST = cached<ManifestRow>('manifest')
export const BLOB = cached<{ readonly size: number }>('blob')
export const REPOSITORY = table<RepositoryRow>('repository')
export const SHOWS: SetTable<Tag> = table('shows')
export const HOLDS: SetTable<Tag> = table('holds')
export const REFERRER: SetTable<Reference> = table('referrer')
export const ABOUT: SetTable<Digest> = table('about')
export const LOST: SetTable<Tag> = table('lost')
export const KEPT = table<readonly LoserTag[]>('kept')
export const LOSER = table<LoserRow>('loser')
export const UNUSED = table<UnusedRow>('unused')
export const PARENT = table<readonly Digest[]>('parent')
export const RENUMBER = table<RenumberRow>('renumber')
export const GONE = table<GoneRow>('gone')
export const UPLOAD = table<UploadRow>('upload')
export const JOB = table<JobRow>('job')
export const ENDED = table<EndedRow>('ended')
export const PULLED = table<number>('pulled')
export const ASKED = table<AskedRow>('asked')
export const PAUSE = table<readonly Pause[]>('pause')
export const HELD_UP = table<HeldUpRow>('heldup')
export const CONFIRMED = table<string>('confirmed')
export const TAKEN = table<number>('taken')
export const CURSOR = table<CursorRow>('cursor')
export const PARKED = table<ParkedRow>('parked')
export const PENDING = table<readonly LinkChange[]>('pending')
export const DAMAGED = table<DamagedRow>('damaged')

/** A number as a key: 16 digits hold every safe integer, and sort as numbers do. */
export function numberKey(number: number): string {
  return String(number).padStart(16, '0')
}

/** Two parts as a key; NUL stands in no repository name, tag or digest. */
export function pairKey(first: string, second: string): string {
  return `${first}\0${second}`
}

/** Greater than every key that begins with this part: NUL ends the part, \x01 follows NUL. */
export function endOf(first: string): string {
  return `${first}\x01`
}

/** The first part of a pair. */
export function firstOf(key: string): string {
  return key.slice(0, key.indexOf('\0'))
}

/** The second part of a pair. */
export function secondOf(key: string): string {
  return key.slice(key.indexOf('\0') + 1)
}
