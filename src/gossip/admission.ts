/** Admission: every record is checked here before anything else happens with it, however it came. */
import { decodeRecord } from '../record/record-codec.ts'
import type { SignedRecord } from '../record/tag-record.ts'
import { type LogicalClock, msOfTime } from '../record/time.ts'
import type { Filter } from '../topology/flow.ts'
import { mayWrite } from '../topology/origins.ts'
import type { Topology } from '../topology/topology.ts'

export type Verdict =
  | { readonly kind: 'admitted'; readonly signed: SignedRecord }
  /** Good by itself, but its time or its writer's right has not come: kept aside, looked at again later. */
  | { readonly kind: 'parked'; readonly signed: SignedRecord; readonly reason: ParkReason }
  /** Never to be accepted. */
  | { readonly kind: 'invalid'; readonly reason: string; readonly writer?: string }

export type ParkReason = 'no-writer' | 'future'

export interface Admission {
  check(bytes: Uint8Array): Verdict
  /** The same for a record whose signature was checked when it was parked. */
  judge(signed: SignedRecord): Verdict
}

/** A record further ahead of mesh time is parked, milliseconds: clocks kept by NTP are within a second. */
export const MAX_AHEAD_MS = 60_000
/**
 * So far past what was applied here already a record may be, milliseconds: the next one of a writer whose clock was set back, which goes
 * on from its newest time. It moves the logical clock no further than it stands, but for this.
 */
const MAX_STEP_MS = 1

/** Each end of a link enforces its own file: what this node's does not let through from a neighbour is not taken. */
export function takenFrom(verdicts: readonly Verdict[], own: Filter): readonly Verdict[] {
  return verdicts.filter(
    (verdict) => verdict.kind === 'invalid' || own.reads(verdict.signed.record.repository),
  )
}

export interface AdmissionDeps {
  readonly topology: Topology
  readonly meshTime: { now(): number }
  readonly logicalClock: Pick<LogicalClock, 'newest'>
}

export function createAdmission(deps: AdmissionDeps): Admission {
  const { topology, meshTime, logicalClock } = deps

  function isFuture(timeMs: number): boolean {
    if (timeMs <= meshTime.now() + MAX_AHEAD_MS) return false
    return timeMs > msOfTime(logicalClock.newest()) + MAX_STEP_MS
  }

  function judge(signed: SignedRecord): Verdict {
    const { record, writer } = signed
    if (record.realm !== topology.realm) {
      const reason = `realm ${record.realm}, expected ${topology.realm}`
      return { kind: 'invalid', reason, writer }
    }
    const timeMs = msOfTime(record.time)
    if (!mayWrite(topology, writer, record.repository, timeMs)) {
      return { kind: 'parked', signed, reason: 'no-writer' }
    }
    if (isFuture(timeMs)) return { kind: 'parked', signed, reason: 'future' }
    return { kind: 'admitted', signed }
  }

  return {
    judge,
    check: (bytes) => {
      const decode = decodeRecord(bytes)
      return decode.kind === 'invalid' ? decode : judge(decode.signed)
    },
  }
}
