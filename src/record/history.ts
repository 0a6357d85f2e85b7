/**
 * The history of one key: which records stay, and what they show. One partial order decides, so that the order of
 * arrival never matters: `r` replaces `s` when the context of `r` contains the context of `s`.
 */

import type { Digest } from '../oci/digest.ts'
import type { PeerId } from './peer-id.ts'
import { type Context, type PutRecord, type SignedRecord, subjectOf } from './tag-record.ts'
import type { Time } from './time.ts'

/** The records of a key that no other one replaces: normally one. Sorted by rank, greatest first. */
export type History = readonly SignedRecord[]

/** Concurrent records kept for one key: 32 writers keep one each; the rest is room for a cloned key. Beyond it the lowest rank goes. */
export const MAX_KEPT = 64

export type Merge =
  | { readonly kind: 'known' }
  | {
      readonly kind: 'changed'
      readonly history: History
      /** A record of the same identity with other content: a writer's key is in two places. */
      readonly cloned: boolean
    }

/** `history` with `incoming` added, or `known` when it says nothing new. */
export function merge(history: History, incoming: SignedRecord): Merge {
  for (const kept of history) {
    if (kept.id === incoming.id || replaces(kept, incoming)) return { kind: 'known' }
  }
  const cloned = history.some((kept) => sameIdentity(kept, incoming))
  const rest = history.filter((kept) => !replaces(incoming, kept))
  const next = [...rest, incoming].sort(compareRank).slice(0, MAX_KEPT)
  if (!next.includes(incoming)) return { kind: 'known' }
  return { kind: 'changed', history: next, cloned }
}

/**
 * The put that the key shows: of the kept puts that no other kept record has seen, the one of greatest rank.
 * Undefined = the key is absent.
 */
export function visibleOf(
  history: History,
): (SignedRecord & { readonly record: PutRecord }) | undefined {
  return standing(history)[0]
}

/** The manifest that the key is about: the visible put says it, and of a deleted key any record that does. */
export function aboutOf(history: History): Digest | undefined {
  const visible = visibleOf(history)
  if (visible !== undefined) return subjectOf(visible.record)
  return history.map(({ record }) => subjectOf(record)).find((subject) => subject !== undefined)
}

/** Puts that stand beside the visible one and lost to it: they stay reachable by digest. */
export function losersOf(history: History): readonly SignedRecord[] {
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

/** Whether the context of `a` strictly contains the context of `b`. */
export function replaces(a: SignedRecord, b: SignedRecord): boolean {
  const of = context(a)
  return contains(of, context(b)) && !contains(context(b), of)
}

function standing(history: History): readonly (SignedRecord & { readonly record: PutRecord })[] {
  return history.filter(isPut).filter((put) => !history.some((other) => hides(other, put)))
}

/** A record hides the puts that its author saw; a cloned delete hides its twin when its sha256 is the greater one. */
function hides(other: SignedRecord, put: SignedRecord): boolean {
  if (!sameIdentity(other, put)) return hasSeen(other, put)
  return other.record.kind === 'delete' && other.id > put.id
}

function isPut(signed: SignedRecord): signed is SignedRecord & { readonly record: PutRecord } {
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

function contains(outer: Context, inner: Context): boolean {
  for (const [writer, time] of inner) {
    if ((outer.get(writer) ?? 0) < time) return false
  }
  return true
}

/** By (time, writer, id), greatest first: total, and equal at every node. */
function compareRank(a: SignedRecord, b: SignedRecord): number {
  if (a.record.time !== b.record.time) return b.record.time - a.record.time
  if (a.writer !== b.writer) return a.writer < b.writer ? 1 : -1
  return a.id < b.id ? 1 : -1
}
