/**
 * Concurrent writes of one tag: which put won, which lost, and the tag under which each loser may be served. All of it is
 * derived from the history of the tag, so it is the same at every node that knows the same records.
 */
import type { Digest } from '../oci/digest.ts'
import { isDigest, type Tag, withSuffix } from '../oci/name.ts'
import { type History, losersOf, type SignedPut, visibleOf } from './history.ts'
import type { PeerId } from './peer-id.ts'
import { countOfTime, msOfTime } from './time.ts'

export interface Conflict {
  readonly winner: SignedPut
  /** By rank, greatest first; each names another manifest than the winner does. */
  readonly losers: readonly SignedPut[]
}

/** A tag under which a loser is served. No record is about it: it comes and goes with the conflict. */
export interface LoserTag {
  readonly tag: Tag
  readonly digest: Digest
  /** Of the record that lost. */
  readonly recordId: string
}

/** The conflict of a key; undefined where every put but one is replaced, or all say the same. */
export function conflictOf(history: History): Conflict | undefined {
  if (history.length < 2) return undefined
  const winner = visibleOf(history)
  if (winner === undefined || isDigest(winner.record.reference)) return undefined
  const losers = losersOf(history).filter(({ record }) => record.digest !== winner.record.digest)
  return losers.length === 0 ? undefined : { winner, losers }
}

/** The conflict of `after`, if `before` had none or another one. */
export function newConflict(before: History, after: History): Conflict | undefined {
  const conflict = conflictOf(after)
  if (conflict === undefined) return undefined
  const known = conflictOf(before)
  return known !== undefined && idsOf(known) === idsOf(conflict) ? undefined : conflict
}

/**
 * `<tag>--<writer>-<time>` for each loser, in their order: unique among them, and a valid tag. `nameOf` a writer: letters,
 * digits and dashes, at most 63.
 */
export function loserTags(
  { losers }: Conflict,
  nameOf: (writer: PeerId) => string,
): readonly LoserTag[] {
  const taken = new Set<Tag>()
  return losers.map(({ record, writer, id: recordId }) => {
    const suffix = `--${nameOf(writer)}-${timeText(record.time)}`
    const plain = withSuffix(record.reference as Tag, suffix)
    // A key in two places signs two records of one identity: the greater one has the name, as it wins everywhere.
    const tag = taken.has(plain)
      ? withSuffix(record.reference as Tag, `${suffix}-${recordId.slice(0, 8)}`)
      : plain
    taken.add(tag)
    return { tag, digest: record.digest, recordId }
  })
}

/** As `loserTags` makes them, where nothing had to be cut for length. */
const LOSER_TAG = /^(.+)--[A-Za-z0-9-]+-\d{8}T\d{6}\.\d{3}Z(?:-\w+)*$/

/** The tag that was fought over, by the form of a loser's tag; undefined where it has another form. */
export function foughtOver(tag: Tag): Tag | undefined {
  return LOSER_TAG.exec(tag)?.[1] as Tag | undefined
}

/** Of a peer id that no node has now, what tells it apart: all Ed25519 ones begin alike. */
export function shortPeerId(peerId: PeerId): string {
  return peerId.slice(-8)
}

/** Compact ISO 8601 in UTC, to the millisecond: `20261124T185434.123Z`; then the counter within it, if it is not the first. */
function timeText(time: SignedPut['record']['time']): string {
  const text = new Date(msOfTime(time)).toISOString().replaceAll(/[-:]/g, '')
  const count = countOfTime(time)
  return count === 0 ? text : `${text}-${count}`
}

function idsOf({ winner, losers }: Conflict): string {
  return [winner, ...losers].map(({ id }) => id).join()
}
