/**
 * The history of one key: which records stay, and what they show. One partial order decides: `r` replaces `s` when the
 * context of `r` contains the context of `s`. The order of arrival never matters, and the number of records has a bound.
 */
import type { Digest } from '../oci/digest.ts'
import type { PeerId } from './peer-id.ts'
import {
  type Context,
  type PutRecord,
  type SignedRecord,
  subjectOf,
  type TagRecord,
} from './tag-record.ts'
import type { Time } from './time.ts'

export type SignedPut = SignedRecord & { readonly record: PutRecord }

/** The records of a key that are kept: normally one. Sorted by rank, greatest first. */
export type History = readonly SignedRecord[]

/** Keys whose records are kept, at most, the smallest ones: 44 may write a repository (MAX_KEYS), and some did before. */
const MAX_NAMED = 48
/** Records kept for one key, at most: one for each of those, two where its key is in two places. */
export const MAX_KEPT = 2 * MAX_NAMED

export type Merge =
  | {
      readonly kind: 'known'
      readonly cloned: boolean
    }
  | {
      readonly kind: 'changed'
      readonly history: History
      /** A record of the same identity with other content: a writer's key is in two places. */
      readonly cloned: boolean
    }

/**
 * `history` with `incoming` added, or `known` when it says nothing new.
 *
 * Of every writer that any context names, the record that has seen most of it is kept. That is a union of greatest elements of
 * total orders, each of which places a record above all that it replaces: so replaced records go, no order of arrival matters, and
 * there are never more records than MAX_KEPT. A record goes that none replaces only when of each writer another one has seen
 * more: what it hid stays hidden, it was shown nowhere, and what an author sees in the history is the same.
 */
export function merge(history: History, incoming: SignedRecord): Merge {
  if (history.some(({ id }) => id === incoming.id)) return { kind: 'known', cloned: false }
  const cloned = history.some((kept) => sameIdentity(kept, incoming))
  const all = [...history, incoming].map((signed) => ({ signed, context: context(signed) }))
  const kept = new Set<SignedRecord>()
  for (const writer of namesOf(all).slice(0, MAX_NAMED)) {
    for (const twins of [1, -1] as const) {
      const most = all.reduce((a, b) => (compareSeen(a, b, writer, twins) < 0 ? b : a))
      kept.add(most.signed)
    }
  }
  if (!kept.has(incoming)) return { kind: 'known', cloned }
  return { kind: 'changed', history: [...kept].sort(compareRank), cloned }
}

interface WithContext {
  readonly signed: SignedRecord
  readonly context: Context
}

function namesOf(all: readonly WithContext[]): readonly PeerId[] {
  return [...new Set(all.flatMap((one) => [...one.context.keys()]))].sort()
}

/**
 * By how much of `writer` each has seen, then by rank: total, and `a` is greater wherever it replaces `b`. Only records of one identity
 * go further: there are two such orders, so that of a cloned key one record more is kept.
 */
function compareSeen(a: WithContext, b: WithContext, writer: PeerId, twins: 1 | -1): number {
  const more = seenBy(a, writer) - seenBy(b, writer)
  if (more !== 0) return more
  if (!sameIdentity(a.signed, b.signed)) return -compareRank(a.signed, b.signed)
  const names = namesOf([a, b])
  for (const name of twins === 1 ? names : names.toReversed()) {
    const left = seenBy(a, name) - seenBy(b, name)
    if (left !== 0) return left
  }
  return -compareRank(a.signed, b.signed) * twins
}

function seenBy({ context: seen }: WithContext, writer: PeerId): number {
  return seen.get(writer) ?? 0
}

/**
 * The put that the key shows: of the kept puts that no other kept record has seen, the one of greatest rank.
 * Undefined = the key is absent.
 */
export function visibleOf(history: History): SignedPut | undefined {
  return standing(history)[0]
}

/** The record by which a filter judges the key: the visible put; of a key that is absent, the one of greatest rank. */
export function newestOf(history: History): TagRecord | undefined {
  return (visibleOf(history) ?? history[0])?.record
}

/** The manifest that the key is about: the visible put says it, and of a deleted key any record that does. */
export function aboutOf(history: History): Digest | undefined {
  const visible = visibleOf(history)
  if (visible !== undefined) return subjectOf(visible.record)
  return history.map(({ record }) => subjectOf(record)).find((subject) => subject !== undefined)
}

/** Puts that stand beside the visible one and lost to it: they stay reachable by digest. */
export function losersOf(history: History): readonly SignedPut[] {
  return standing(history).slice(1)
}

/** What an author of a new record for this key has seen: the join of all contexts. */
export function contextOf(history: History): Context {
  const joined = new Map<PeerId, Time>()
  for (const signed of history) {
    for (const [writer, time] of context(signed)) {
      if (time > (joined.get(writer) ?? 0)) joined.set(writer, time)
    }
  }
  return joined
}

function standing(history: History): readonly SignedPut[] {
  return history.filter(isPut).filter((put) => !history.some((other) => hides(other, put)))
}

/** A record hides the puts that its author saw; a cloned delete hides its twin when its sha256 is the greater one. */
function hides(other: SignedRecord, put: SignedRecord): boolean {
  if (!sameIdentity(other, put)) return hasSeen(other, put)
  return other.record.kind === 'delete' && other.id > put.id
}

function isPut(signed: SignedRecord): signed is SignedPut {
  return signed.record.kind === 'put'
}

function hasSeen(other: SignedRecord, { writer, record }: SignedRecord): boolean {
  return (other.record.seen.get(writer) ?? 0) >= record.time
}

function sameIdentity(a: SignedRecord, b: SignedRecord): boolean {
  return a.writer === b.writer && a.record.time === b.record.time
}

/** A record's `seen` joined with its own identity. */
function context({ record, writer }: SignedRecord): Context {
  return new Map(record.seen).set(writer, record.time)
}

/** By (time, writer, id), greatest first: total, and equal at every node. */
function compareRank(a: SignedRecord, b: SignedRecord): number {
  if (a.record.time !== b.record.time) return b.record.time - a.record.time
  if (a.writer !== b.writer) return a.writer < b.writer ? 1 : -1
  return a.id < b.id ? 1 : -1
}
